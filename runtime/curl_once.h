/* What http_client and smtp tell libcurl alike. */
#ifndef TRADEWIND_RUNTIME_CURL_ONCE_H
#define TRADEWIND_RUNTIME_CURL_ONCE_H

#include <curl/curl.h>

/** libcurl wants one set-up in a process, whoever uses it first. */
void curl_once(void);

/** Who may sign a server's certificate: those of TRADEWIND_CA, or those that the system trusts. */
void curl_trust(CURL *easy);

/** "" or what a person can do about a certificate that is not trusted; to be put behind the error.
 */
const char *curl_trust_hint(CURLcode code);

#endif
