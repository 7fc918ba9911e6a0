#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Client certificates as a credential: eventsync_auth mtls, key_or_mtls and
# key_and_mtls, with TLS 1.2 and 1.3, resumed sessions, and certificates that
# are unfit, unknown, revoked or another partner's.

use warnings;
use strict;

use IO::Select;
use Test::More;
use Time::HiRes qw(sleep);

use lib 't/lib';
use Test::Eventsync qw(wait_for);

plan skip_all => 'IO::Socket::SSL is not installed'
    unless eval { require Test::Eventsync::Tls; 1 };

my $t = Test::Eventsync->new(workers => 2);
$t->store_init->feed('orders')->feed('prices');
my $key = $t->partner_key('acme', feeds => 'orders', publish => 'orders',
    limit_poll => '1000r/s');
my $other = $t->partner_key('bolt', feeds => 'prices');

my $tls = Test::Eventsync::Tls->new($t);
$tls->authority($_) for qw(ca stranger);
$tls->certificate('server', subject => '/CN=localhost', eku => 'serverAuth');
$tls->certificate('acme', subject => '/O=Acme, "Inc"/CN=Zoë');
$tls->certificate('renewed', subject => '/O=Acme, "Inc"/CN=Zoë');
$tls->certificate('uri', san =>
    'URI:spiffe://x.example/a,DNS:a.example,URI:spiffe://x.example/b');
$tls->certificate('bolt');
$tls->certificate($_) for qw(nobody narrow);
$tls->certificate('wrong-use', eku => 'serverAuth');
$tls->certificate('expired', from => -7200, to => -3600);
$tls->certificate('early', from => 3600, to => 7200);
$tls->certificate('foreign', by => 'stranger', subject => '/O=Acme, "Inc"/CN=Zoë');
$tls->certificate('many', san => join(',', map { "URI:urn:x:$_" } 1 .. 9));

# the sample of the documentation, with the files and the port of this test
my ($server) = $t->read_file("$Test::Eventsync::ROOT/docs/directives.md")
    =~ /^#### Client certificates\n.*?^server \{\n(.*?)^    location \/v1/ms
    or die;
$server =~ s/^ *listen .*\n//m;
$server =~ s{/etc/ssl/events.pem}{%%TESTDIR%%/pki/server.pem};
$server =~ s{/etc/ssl/private/events.key}{%%TESTDIR%%/pki/server.key};
$server =~ s{/etc/ssl/partners.pem}{%%TESTDIR%%/pki/ca.pem};
$server .= "ssl_session_cache shared:SSL:1m;\n";

my %auth = (mtls => 'mtls', either => 'key_or_mtls', both => 'key_and_mtls',
    plain => 'key');
my $locations = join '', map { <<"LOCATION" } sort keys %auth;
        location /$_/ {
            eventsync_prefix /$_;
            eventsync_poll on; eventsync_feeds on; eventsync_publish on;
            eventsync_auth $auth{$_};
            add_header x-partner \$eventsync_partner always;
            add_header x-key \$eventsync_key always;
            add_header x-certificate \$eventsync_certificate always;
        }
LOCATION
my $lax = ($server =~ s/ssl_verify_client +optional/ssl_verify_client optional_no_ca/r)
    . $locations;
my $strict = ($server =~ s/ssl_verify_client +optional/ssl_verify_client on/r
    =~ s/error_page 495/error_page 495 496/r) . $locations;
$t->default_conf(listen => 'ssl', server => "$server$locations",
    http => "server { listen 127.0.0.1:%%PORT_1%% ssl; $lax }"
        . "server { listen 127.0.0.1:%%PORT_2%% ssl http2; $strict }");
$t->run_nginx;

sub cert { return $t->ctl_ok(qw(key create), @_) =~ /^([a-z2-7]{10})$/m ? $1 : die }
sub get {
    my ($where, $cert, %o) = @_;
    return $tls->request(GET => "/$where/feeds/" . ($o{feed} // 'orders')
        . '/events' . ($o{query} // ''), cert => $cert,
        headers => $o{key} ? { authorization => "Bearer $o{key}" } : {}, %o);
}
sub detail { return Test::Eventsync::json($_[0]{body})->{detail} // '' }
sub type {
    return (Test::Eventsync::json($_[0]{body})->{type} // '')
        =~ s/^urn:eventsync:problem://r;
}
sub refused {
    my ($answer, $detail, $name) = @_;
    is("$answer->{status} " . type($answer), '401 unauthorized', $name);
    like(detail($answer), $detail, '... with the reason');
}

###############################################################################
# who

refused(get('mtls', undef), qr/has no client certificate/, 'no certificate');
is(get('mtls', undef)->{headers}{'www-authenticate'},
    'ClientCertificate realm="eventsync"', '... with a challenge');
refused(get('mtls', 'acme'), qr/unknown, expired or revoked/,
    'a certificate that is not registered');
refused(get('mtls', undef, key => $key), qr/has no client certificate/,
    'a key is none');

my $id = cert('acme', '--scopes=read', '--certificate=' . $tls->path('acme.pem'));
for my $version (qw(TLSv1_2 TLSv1_3)) {
    my $answer = get('mtls', 'acme', version => $version);
    is($answer->{status}, 200, "a registered certificate, $version");
    is("$answer->{headers}{'x-partner'} $answer->{headers}{'x-key'}",
        "acme $id", '... is a partner with an id');
}
is(get('mtls', 'acme', feed => 'prices')->{status}, 404,
    'feeds that its partner may not read do not exist');
my $post = sub { return $tls->request(POST => "/mtls/feeds/orders/events",
    cert => $_[0], headers => { 'content-type' => 'application/json' },
    body => $t->event) };
my $answer = $post->('acme');
is($answer->{status}, 403, 'it has no other scope than its record');
like(detail($answer), qr/^The certificate lacks the scope "publish"/,
    '... and the answer says so');
is($answer->{headers}{'www-authenticate'}, undef, '... without a challenge');

my $writer = cert('acme', '--scopes=publish',
    '--certificate=' . $tls->path('renewed.pem'));
is($post->('renewed')->{status}, 201, 'one with the scope publishes');
like($t->ctl_ok(qw(feed publishers orders)), qr/\Q$writer\E/,
    '... and the log names it as the publisher');
is(get('mtls', 'acme')->{status}, 200, 'both are valid at the same time');

refused(get('plain', 'acme'), qr/no Authorization header/,
    'a certificate is nothing where keys are asked for');
is(get('plain', 'nobody', key => $key)->{status}, 200,
    '... and a key is enough there');

###############################################################################
# names

$t->ctl_ok(qw(key remove), $_) for $id, $writer;
my %dn;
for my $part (qw(issuer subject)) {
    $dn{$part} = $tls->openssl(qw(x509 -noout -nameopt), 'RFC2253,-esc_msb', '-in',
        $tls->path('acme.pem'), "-$part") =~ s/^$part= *//r;
}
my $named = cert('acme', '--scopes=read', "--issuer=$dn{issuer}",
    "--subject=$dn{subject}");
is(get('mtls', 'acme')->{status}, 200, 'by issuer and subject');
is(get('mtls', 'renewed')->{status}, 200, '... and so its successor');
refused(get('mtls', 'nobody'), qr/unknown/, '... but no other subject');
refused(get('mtls', 'foreign'), qr/not accepted: FAILED/,
    '... nor that subject of another authority');

my $print = $tls->openssl(qw(x509 -noout -sha256 -fingerprint -in),
    $tls->path('acme.pem')) =~ s/.*=//r;
is(get('mtls', 'acme')->{headers}{'x-certificate'},
    lc($print =~ s/.*=//r =~ s/[:\s]//gr), 'a variable has its fingerprint');
is(get('plain', 'acme')->{headers}{'x-certificate'}, undef,
    '... and nothing where certificates do not count');
my $veto = cert('acme', '--scopes=read', "--fingerprint=$print");
$t->ctl_ok(qw(key revoke), $veto);
refused(get('mtls', 'acme'), qr/revoked/, 'a revoked fingerprint wins over a '
    . 'valid subject');
is(get('mtls', 'renewed')->{status}, 200, '... for that certificate only');

refused(get('mtls', 'uri'), qr/unknown/, 'a URI that is not registered');
my $uri = cert('acme', '--scopes=read', '--uri=spiffe://x.example/b');
is(get('mtls', 'uri')->{status}, 200, 'by one of its URIs');
$t->ctl_ok(qw(key remove), $uri);
$uri = cert('acme', '--scopes=read', '--uri=spiffe://x.example/b',
    '--issuer=CN=stranger,O=Test');
refused(get('mtls', 'uri'), qr/unknown/, 'by a URI of another issuer');
$t->ctl_ok(qw(key remove), $uri);
cert('acme', '--scopes=read', '--uri=spiffe://x.example/b',
    "--issuer=$dn{issuer}");
is(get('mtls', 'uri')->{status}, 200, 'by a URI and its issuer');
cert('acme', '--scopes=read', '--uri=urn:x:1');
refused(get('mtls', 'many'), qr/too many names/, 'more than eight URIs');

###############################################################################
# either and both

is(get('either', 'renewed')->{status}, 200, 'either: a certificate');
is(get('either', undef, key => $key)->{status}, 200, 'either: a key');
refused(get('either', undef), qr/no client certificate/, 'either: neither');
refused(get('either', 'renewed', key => 'esk_x'), qr/malformed/,
    'either: a bad key is not made good by a certificate');
is(get('both', 'renewed', key => $key)->{status}, 200, 'both');
refused(get('both', 'renewed'), qr/no Authorization/, 'both: no key');
refused(get('both', undef, key => $key), qr/no client certificate/,
    'both: no certificate');
refused(get('both', 'nobody', key => $key), qr/unknown/,
    'both: a certificate that is not registered');
cert('bolt', '--scopes=read', '--certificate=' . $tls->path('bolt.pem'));
is(get('mtls', 'bolt', feed => 'prices')->{status}, 200,
    'the certificate of another partner');
refused(get('both', 'bolt', key => $key), qr/another partner/,
    'both: of different partners');

# A certificate has feeds, addresses and limits as a key has.
$t->ctl_ok(qw(partner change bolt), '--feeds=prices,orders');
my $narrow = cert('bolt', '--scopes=read,manage', '--feeds=orders',
    '--certificate=' . $tls->path('narrow.pem'));
is(get('mtls', 'narrow', feed => $_)->{status}, $_ eq 'orders' ? 200 : 404,
    "a certificate for one feed: $_") for qw(orders prices);
$t->ctl_ok(qw(key change), $narrow, '--allow-from=192.0.2.0/24');
is(get('mtls', 'narrow')->{status}, 403, 'from another address');
is(get('both', 'narrow', key => $other)->{status}, 403,
    '... although the key may be used from there');
$t->ctl_ok(qw(key change), $narrow, '--allow-from=any');
is(get('both', 'narrow', key => $other)->{status}, 200, '... or from anywhere');
is(get('both', 'narrow', key => $other, feed => 'prices')->{status}, 200,
    'both: the key says which feeds');
$t->ctl_ok(qw(partner change bolt --limit-poll=1r/m));
is(get('mtls', 'narrow')->{status}, $_, 'its partner has a limit') for 200, 429;
$t->ctl_ok(qw(partner change bolt --limit-poll=default --disabled));
refused(get('mtls', 'narrow'), qr/unknown/, 'its partner is disabled');
$t->ctl_ok(qw(partner change bolt --enabled));

###############################################################################
# certificates that nginx does not accept

for my $name ('wrong-use', 'expired', 'early', 'foreign') {
    cert('acme', '--scopes=read', '--certificate=' . $tls->path("$name.pem"));
    for my $version (qw(TLSv1_2 TLSv1_3)) {
        my $answer = get('mtls', $name, version => $version);
        refused($answer, qr/not accepted: FAILED/, "$name, $version");
        is($answer->{headers}{'content-type'}, 'application/problem+json',
            '... as a problem document');
    }
}

refused(get('mtls', 'foreign', port => $t->port(1)),
    qr/authority that is trusted here/, 'nor does the module, if nginx does');

refused(get('mtls', undef, port => $t->port(2)), qr/not accepted: NONE/,
    'no certificate, where nginx demands one');

my @pair = map { $tls->path("narrow.$_") } qw(pem key);
is(`curl -sk --http2 -m 30 -o /dev/null -w '%{http_version} %{http_code}' --cert $pair[0] --key $pair[1] https://127.0.0.1:@{[ $t->port(2) ]}/mtls/feeds/orders/events`,
    '2 200', 'over HTTP/2');

###############################################################################
# while it lasts

# A session resumed, and a connection kept, after the certificate has expired.
$tls->certificate('short', to => 8);
cert('acme', '--scopes=read', '--certificate=' . $tls->path('short.pem'));
my %held = map { $_ => get('mtls', 'short', version => $_) } qw(TLSv1_2 TLSv1_3);
is($held{$_}{status}, 200, "a certificate of few seconds, $_") for sort keys %held;
my $poll = $tls->connect(cert => 'short');
$tls->send($poll, GET => '/mtls/feeds/orders/events?from=latest&wait=60');

# Revoked while a long poll is held; both workers see it.
my $waiting = $tls->connect(cert => 'renewed');
$tls->send($waiting, GET => '/mtls/feeds/orders/events?from=latest&wait=60');
ok(wait_for(sub { $tls->request(GET => '/ops/metrics')->{body}
    =~ /^eventsync_http_waiting_requests\{kind="poll"\} 2$/m }, 20), 'two polls wait');
$t->ctl_ok(qw(key revoke), $named);
refused($tls->answer($waiting), qr/revoked/, 'a held poll ends when the record '
    . 'is revoked');
for (1 .. 8) {
    my $answer = get('mtls', 'renewed');
    is($answer->{status}, 401, 'and so does each new request') or last;
}

refused($tls->answer($poll), qr/expired/, 'a held poll ends with its certificate');
for my $version (sort keys %held) {
    my $sock = $held{$version}{socket};
    $tls->send($sock, GET => '/mtls/feeds/orders/events');
    refused($tls->answer($sock), qr/expired/, "a kept connection, $version");
    my $again = get('mtls', undef, context => $sock);
    ok($again->{socket}->get_session_reused, "a resumed session, $version");
    refused($again, qr/expired/, '... is judged again');
}

###############################################################################
# what is damaged or wrong refuses

my $damaged = cert('acme', '--scopes=read', '--certificate='
    . $tls->path('nobody.pem'));
is(system($t->build . '/helper/damage', $t->store . '/registry', 'objects',
    "k$damaged", '{"partner":"acme","scopes":["read"],"digest":"'
    . 'f' x 64 . '","certificate":{"uri":"x"}}'), 0, 'a damaged record');
is(get('mtls', 'nobody')->{status}, 500, '... admits nobody');
is(system($t->build . '/helper/damage', $t->store . '/registry', 'objects',
    "k$damaged", '{"partner":"acme","scopes":["read"],"digest":"'
    . 'f' x 64 . '"}'), 0, 'a record of another digest');
refused(get('mtls', 'nobody'), qr/unknown/, '... admits nobody');
$t->ctl_ok(qw(key remove), $damaged);

my @create = qw(key create acme --scopes=read);
for (['is not SHA-256', '--fingerprint=00:11'],
    ['has no certificate in PEM', '--certificate=' . $tls->path('acme.key')],
    ['No such file', '--certificate=' . $tls->path('none')],
    ['needs "--issuer"', '--subject=CN=x'],
    ['goes with "--subject" and "--uri"', "--fingerprint=$print", '--issuer=CN=x'],
    ['is named by one of', '--uri=x', "--fingerprint=$print"],
    ['is named by one of', '--issuer=CN=x'],
    ['already exists', "--fingerprint=$print"])
{
    my ($message, @options) = @$_;
    my ($rc, $out, $err) = $t->ctl(@create, @options);
    isnt($rc, 0, "@options: refused");
    like($err, qr/\Q$message\E/, '... and says why');
}
is(Test::Eventsync::json($t->ctl_ok(@create, '--json', '--uri=urn:x:9'))
    ->{certificate}{uri}, 'urn:x:9', 'with --json the record');

done_testing();
