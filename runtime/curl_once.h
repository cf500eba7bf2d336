/* libcurl wants one set-up in a process, whoever uses it first. For http_client and smtp. */
#ifndef TRADEWIND_RUNTIME_CURL_ONCE_H
#define TRADEWIND_RUNTIME_CURL_ONCE_H

void curl_once(void);

#endif
