/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "coordinatord/control/secret.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <string.h>

enum { SECRET_BYTES = 32, HASH_BYTES = 32, ID_BYTES = 6 };

static void to_hex(const unsigned char *bytes, size_t n, char *out)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < n; i++) {
        *out++ = digits[bytes[i] >> 4];
        *out++ = digits[bytes[i] & 15];
    }
    *out = '\0';
}

static int no_random(struct tl_error *err)
{
    return tl_fail(err, TL_E_IO, "the system gives no random numbers");
}

int secret_make(char secret[SECRET_TEXT], struct tl_error *err)
{
    unsigned char random[SECRET_BYTES];

    if (RAND_priv_bytes(random, sizeof random) != 1)
        return no_random(err);
    memcpy(secret, SECRET_PREFIX, sizeof SECRET_PREFIX - 1);
    to_hex(random, sizeof random, secret + sizeof SECRET_PREFIX - 1);
    OPENSSL_cleanse(random, sizeof random);
    return 0;
}

int secret_make_id(char id[SECRET_ID_TEXT], struct tl_error *err)
{
    unsigned char random[ID_BYTES];

    if (RAND_bytes(random, sizeof random) != 1)
        return no_random(err);
    to_hex(random, sizeof random, id);
    return 0;
}

int secret_hash(const char *secret, char hash[SECRET_HASH_TEXT], struct tl_error *err)
{
    unsigned char digest[HASH_BYTES];

    if (EVP_Digest(secret, strlen(secret), digest, NULL, EVP_sha256(), NULL) != 1)
        return tl_fail_nomem(err);
    to_hex(digest, sizeof digest, hash);
    return 0;
}

bool secret_hash_same(const char a[SECRET_HASH_TEXT], const char b[SECRET_HASH_TEXT])
{
    return CRYPTO_memcmp(a, b, SECRET_HASH_TEXT) == 0;
}

void secret_wipe(void *secret, size_t size)
{
    OPENSSL_cleanse(secret, size);
}
