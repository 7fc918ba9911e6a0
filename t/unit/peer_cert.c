/* SPDX-License-Identifier: BSD-2-Clause */

/* Names of client certificates: what is read of a certificate, and that no two
   names have the same digest. */

#include <openssl/evp.h>
#include <openssl/x509v3.h>

#include "keys/peer_cert.h"
#include "tap.h"


static void
add_names(X509 *x509, size_t n, es_str_t uri)
{
    size_t          i;
    GENERAL_NAME   *name;
    GENERAL_NAMES  *names;

    names = sk_GENERAL_NAME_new_null();

    for (i = 0; i < n; i++) {
        name = GENERAL_NAME_new();
        name->type = GEN_URI;
        name->d.ia5 = ASN1_IA5STRING_new();
        (void) ASN1_STRING_set(name->d.ia5, uri.data, (int) uri.len);
        (void) sk_GENERAL_NAME_push(names, name);
    }

    (void) X509_add1_ext_i2d(x509, NID_subject_alt_name, names, 0,
                             X509V3_ADD_REPLACE);
    GENERAL_NAMES_free(names);
}


/* A certificate of the subject CN=a,b issued by O=i, from second 10 to 20. */

static X509 *
make(EVP_PKEY *pkey)
{
    X509       *x509 = X509_new();
    X509_NAME  *dn = X509_NAME_new();

    (void) X509_set_version(x509, 2);
    (void) ASN1_INTEGER_set(X509_get_serialNumber(x509), 1);
    (void) ASN1_TIME_set(X509_getm_notBefore(x509), 10);
    (void) ASN1_TIME_set(X509_getm_notAfter(x509), 20);
    (void) X509_NAME_add_entry_by_txt(dn, "O", MBSTRING_UTF8,
                                      (const unsigned char *) "i", -1, -1, 0);
    (void) X509_set_issuer_name(x509, dn);
    X509_NAME_free(dn);
    dn = X509_NAME_new();
    (void) X509_NAME_add_entry_by_txt(dn, "CN", MBSTRING_UTF8,
                                      (const unsigned char *) "a,b", -1, -1,
                                      0);
    (void) X509_set_subject_name(x509, dn);
    X509_NAME_free(dn);
    (void) X509_set_pubkey(x509, pkey);
    (void) X509_sign(x509, pkey, EVP_sha256());

    return x509;
}


static void
test_read(void)
{
    X509           *x509;
    EVP_PKEY       *pkey;
    es_apikey_t     name;
    es_peer_cert_t  cert;

    pkey = EVP_EC_gen("P-256");
    x509 = make(pkey);

    is_int(es_peer_cert_read(x509, &cert), ES_OK, "a certificate is read");
    is_int(cert.begins_ms, 10000, "it begins");
    is_int(cert.ends_ms, 21000, "and ends after its last second");
    is_int((int64_t) cert.n, 2, "it has two names");
    es_peer_cert_subject(es_lit("O=i"), es_lit("CN=a\\,b"), &name);
    ok(es_apikey_equal(cert.names[1].digest, name.digest),
       "issuer and subject, escaped as in RFC 2253");

    add_names(x509, ES_PEER_CERT_URIS, es_lit("urn:x"));
    is_int(es_peer_cert_read(x509, &cert), ES_OK, "eight URIs");
    is_int((int64_t) cert.n, ES_PEER_CERT_NAMES, "are two names each");
    es_peer_cert_uri(es_lit("O=i"), es_lit("urn:x"), &name);
    ok(es_apikey_equal(cert.names[2].digest, name.digest), "with the issuer");
    es_peer_cert_uri(es_null_str, es_lit("urn:x"), &name);
    ok(es_apikey_equal(cert.names[3].digest, name.digest), "and without");

    add_names(x509, ES_PEER_CERT_URIS + 1, es_lit("urn:x"));
    is_int(es_peer_cert_read(x509, &cert), ES_INVALID, "nine are refused");
    add_names(x509, 1, es_lit("urn:x\0urn:y"));
    is_int(es_peer_cert_read(x509, &cert), ES_INVALID,
           "and a URI with a NUL");

    X509_free(x509);
    EVP_PKEY_free(pkey);
}


int
main(void)
{
    uint8_t      sha256[ES_DIGEST_LEN] = { 0x00, 0x11, 0x22, 0x33, 0x44, 0x55,
                                           0x66 };
    es_apikey_t  a, b;

    es_peer_cert_fingerprint(sha256, &a);
    is_str(es_str(a.id), "aaisem2ekv", "the id is the start of the digest");

    es_peer_cert_subject(es_lit("a"), es_lit("bc"), &a);
    es_peer_cert_subject(es_lit("ab"), es_lit("c"), &b);
    ok(!es_apikey_equal(a.digest, b.digest), "names do not run together");
    es_peer_cert_uri(es_lit("a"), es_lit("bc"), &b);
    ok(!es_apikey_equal(a.digest, b.digest), "a URI is no subject");

    test_read();

    is_int(es_peer_cert_file("/nonexistent", sha256), ES_NOT_FOUND,
           "a file that is missing");
    is_int(es_peer_cert_file("/dev/null", sha256), ES_INVALID,
           "and one without a certificate");

    return done();
}
