//go:build never

// Package main is never compiled: the import is what makes `go mod vendor` fetch FerretDB's server. See docker/local/setup.
package main

import _ "github.com/FerretDB/FerretDB/cmd/ferretdb"
