#include "runtime/curl_once.h"

#include "runtime/settings.h"

#include <pthread.h>

static void set_up(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

void curl_once(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, set_up);
}

void curl_trust(CURL *easy)
{
    const char *ca = setting_text("TRADEWIND_CA");

    if (ca[0] == '\0')
        return;
    curl_easy_setopt(easy, CURLOPT_CAINFO, ca);
    curl_easy_setopt(easy, CURLOPT_CAPATH, NULL); /* nobody but those in the file */
}

const char *curl_trust_hint(CURLcode code)
{
    if (code != CURLE_PEER_FAILED_VERIFICATION && code != CURLE_SSL_CACERT_BADFILE)
        return "";
    return ": TRADEWIND_CA has to name a file with the certificate of who signed the server's";
}
