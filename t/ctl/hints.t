#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# The hints of eventsyncctl verify-integration: each receiver here makes one
# mistake, and the hint names it.

use warnings;
use strict;

use Digest::SHA qw(hmac_sha256_base64);
use IO::Socket::INET;
use JSON::PP;
use MIME::Base64 qw(decode_base64);
use Test::More;

use lib 't/lib';
use Test::Eventsync;
use Test::Eventsync::Webhooks qw(certificate);

# For certificates that the system trusts, a view of its own of the files.
my $private = $ENV{ES_NAMESPACE};
if (!$private && $> == 0 && system('unshare -m true 2>/dev/null') == 0) {
    $ENV{ES_NAMESPACE} = 1;
    exec 'unshare', '-m', $^X, $0 or die "unshare: $!\n";
}

my $SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
my $t = Test::Eventsync->new;
my $dir = $t->testdir;

sub verify {
    my ($url, @args) = @_;
    my ($rc, $out) = $t->ctl('verify-integration', "--url=$url",
        "--secret=$SECRET", '--json', @args);
    return decode_json($out);
}

sub causes { join ' ', map { $_->{cause} } @{ $_[0]{hints} } }

###############################################################################
# answers of frameworks, proxies and pages, to every request

my %always = (
    type => [{ status => 415 }, 'content-type'],
    undefined => [{ status => 500, headers => { 'Content-Type' => 'text/html' },
        body => '<pre>TypeError: Cannot read properties of undefined '
            . '(reading &#39;type&#39;)<br>' }, 'no-body'],
    parsed => [{ status => 500, body => 'Error: Expected payload to be of '
        . 'type string or Buffer.' }, 'parsed-body'],
    secure => [{ status => 301, headers => { Location => 'https://%/secure' } },
        'redirect-https'],
    slash => [{ status => 308, headers => { Location => '/slash/' } },
        'redirect-slash'],
    www => [{ status => 302, headers => { Location => 'http://www.x/www' } },
        'redirect'],
    signin => [{ status => 302, headers => { Location => '/login?next=x' } },
        'login'],
    escape => [{ status => 302, headers => { Location => "/x\e[2Jy" } },
        'redirect'],
    page => [{ status => 200, headers => { 'Content-Type' => 'text/html' },
        body => '<form><input type="password">' }, 'login verifies-nothing'],
    basic => [{ status => 401, headers =>
        { 'WWW-Authenticate' => 'Basic realm="staging"' } }, 'credential'],
    firewall => [{ status => 403, body => '<html>Forbidden' }, 'access'],
    csrf => [{ status => 403, body => '<!DOCTYPE html>' . ' ' x 2000
        . 'CSRF verification failed.' }, 'csrf'],
    laravel => [{ status => 419 }, 'csrf'],
    hosts => [{ status => 403, body => 'Blocked host: x' }, 'host'],
    tunnel => [{ status => 404, body => 'ERR_NGROK_3200' }, 'tunnel'],
    path => [{ status => 404 }, 'not-found'],
    method => [{ status => 405, headers => { Allow => 'GET' } }, 'method'],
    length => [{ status => 411 }, 'length'],
    head => [{ status => 431 }, 'headers'],
    plain => [{ status => 400, body => 'Client sent an HTTP request to an '
        . 'HTTPS server.' }, 'tls-port'],
    gone => [{ status => 410 }, 'gone'],
    busy => [{ status => 429 }, 'busy'],
    proxy => [{ status => 502 }, 'gateway'],
    down => [{ status => 503 }, 'unavailable'],
    broken => [{ status => 500 }, 'failed'],
    wrongsecret => [{ status => 401 }, 'refused'],
    anything => [{ status => 204 }, 'verifies-nothing'],
    web => [{ status => 200, body => '<!doctype html><p>Shop' },
        'web-page verifies-nothing'],
    closes => [{ raw => '', close => 1 }, 'closed'],
    tcp => [{ raw => "SSH-2.0-OpenSSH_9.2\r\n\r\n", close => 1 }, 'not-http'],
);

# A receiver that verifies, but for a mistake that the path names.
sub mac {
    my ($r, $body, $key) = @_;
    my $mac = hmac_sha256_base64(join('.', @{ $r->{headers} }{qw(webhook-id
        webhook-timestamp)}, $body), $key // decode_base64(substr $SECRET, 6));
    return 'v1,' . $mac . '=' x (-length($mac) % 4);
}

my $coder = JSON::PP->new->canonical->allow_nonref;
my %text = (
    trims => sub { $_[0] =~ s/\s+\z//r },
    latin => sub { my $body = $_[0]; utf8::upgrade($body); utf8::encode($body);
        $body },
    # JSON.stringify(JSON.parse()), as far as it matters here
    rewrites => sub { $_[0] =~ s/12345678901234567890/12345678901234567000/r
        =~ s/1\.0,/1,/r =~ s/\\u0041/A/r },
    # json.dumps() of Python, and a writer that sorts
    spaces => sub { $_[0] =~ s/(":|,)(?=["{])/$1 /gr },
    sorts => sub { $coder->encode($coder->decode($_[0])) },
    slashes => sub { $_[0] =~ s{\\?/}{\\/}gr },
);
my %verifies = (
    trims => 'trims-body', latin => 'decodes-body', rewrites => 'rewrites-json',
    spaces => 'rewrites-json', sorts => 'rewrites-json',
    slashes => 'rewrites-json',
    keytext => 'secret-not-decoded', keycode => 'secret-not-decoded',
    unsigned => 'unsigned', unbody => 'tampered', untimed => 'timestamp',
    throws => 'uncaught', whole => 'several-signatures',
    again => 'repeated', types => 'unknown-type', strict => 'unknown-attributes',
    small => 'too-large', slow => 'timeout', fat => 'large', data => 'thin',
    single => 'batch', silent => 'agreement',
);
my %seen;

sub answer {
    my ($r) = @_;
    my ($no) = $r->{path} =~ /(\w+)$/;
    if (my $case = $always{$no}) {
        my %answer = %{ $case->[0] };
        $answer{headers} = { %{ $answer{headers} // {} } };
        s/%/$r->{headers}{host}/ for values %{ $answer{headers} };
        return \%answer;
    }
    return 204 if $r->{method} eq 'OPTIONS';
    my $refuse = $no eq 'throws' ? 500 : 401;
    my $h = $r->{headers};
    my $signature = $h->{'webhook-signature'} // ($no eq 'unsigned' ? return 204
        : return $refuse);
    my $key = $no eq 'keytext' ? $SECRET : $no eq 'keycode' ? substr $SECRET, 6
        : undef;
    my $body = ($text{$no} // sub { $_[0] })->($r->{body});
    my $mac = mac($r, $body, $key);
    my $fits = $no eq 'unbody' ? $signature =~ /^v1,\S{44}$/ && !$seen{x}++
        || grep { $_ eq $mac } split / /, $signature : $no eq 'whole'
        ? $signature eq $mac : grep { $_ eq $mac } split / /, $signature;
    # A signature of the header alone takes any body of the right key.
    $fits ||= $no eq 'unbody' && $signature !~ / / && $r->{body} =~ /tampered/;
    return $refuse if !$fits;
    return $refuse if $no ne 'untimed'
        && abs($h->{'webhook-timestamp'} - time) > 300;
    return 413 if $no eq 'small' && length $r->{body} > 100_000;
    return 400 if $no eq 'fat' && length $r->{body} > 100_000;
    return { status => 204, delay => 5 } if $no eq 'slow'
        && $r->{body} =~ /"check":"large"/;
    return 409 if $no eq 'again' && $seen{ $h->{'webhook-id'} }++;
    return 422 if $no eq 'types' && $r->{body} =~ /test\.unknown/;
    return 500 if $no eq 'strict' && $r->{body} =~ /testnote/;
    return 500 if $no eq 'data' && $r->{body} !~ /"data":/;
    return 400 if $no eq 'single' && $r->{body} =~ /^\[/;
    return 204;
}

my $recv = $t->receiver(\&answer);

for my $path (sort keys %always) {
    my $report = verify($recv->url("/$path"));
    is(causes($report), $always{$path}[1], "$path: its hint");
}

for my $path (sort keys %verifies) {
    my $report = verify($recv->url("/$path"), qw(--thin --batch --timeout=3s),
        $path eq 'silent' ? '--agreement=a.example' : ());
    is(causes($report), $verifies{$path}, "$path: its hint");
}

###############################################################################
# the report

my ($rc, $out) = $t->ctl('verify-integration', '--url=' . $recv->url('/www'),
    "--secret=$SECRET");
like($out, qr{^FAIL valid +expected 2xx, came 302 to http://www\.x/www$}m,
    'the target of a redirect is printed');
like($out, qr/^hint redirect \(valid and 13 more\): Redirects are not [^\n]+$/m,
    'and its hint, once');
my $report = verify($recv->url('/www'));
is($report->{checks}[0]{cause}, 'redirect', 'a check has its cause');
is($report->{hints}[0]{hint} =~ /^Redirects are not/, 1, 'and the report the hint');

($rc, $out) = $t->ctl('verify-integration', '--url='
    . $recv->url('/wrongsecret'), "--secret=$SECRET");
like($out, qr/^FAIL no-signature .* came 401, but "valid" is refused too$/m,
    'a refusal shows nothing when all is refused');
my $before = $recv->count;
verify($recv->url('/web'));
is($recv->count - $before, 14, 'a receiver that takes all is asked no more');
$before = $recv->count;
verify($recv->url('/wrongsecret'));
is($recv->count - $before, 14 + 5, 'one that refuses all gets five more');

($rc, $out) = $t->ctl('verify-integration', '--url=' . $recv->url('/escape'),
    "--secret=$SECRET");
like($out, qr{^FAIL valid .* came 302 to /x\?\[2Jy$}m,
    'control characters do not reach the terminal');

###############################################################################
# no answer

my $closed = Test::Eventsync::free_port();
$report = verify("http://127.0.0.1:$closed/");
is(causes($report), 'connect', 'nobody listens');
is_deeply([map { $_->{pass} ? 'pass' : $_->{came} } @{ $report->{checks} }
    [1 .. 13]], [('nothing: not sent') x 13],
    'and the other checks fail without a request');
is(causes(verify('http://no-such-host.invalid/', '--timeout=5s')), 'dns',
    'an unknown name');

# A port that accepts no connection: its queue is full.
SKIP: {
    my $full = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 0)
        or skip('no port', 1);
    my @queue = map { IO::Socket::INET->new(PeerAddr => '127.0.0.1',
        PeerPort => $full->sockport, Blocking => 0) } 1 .. 3;
    like(causes(verify('http://127.0.0.1:' . $full->sockport . '/',
        '--timeout=50ms')), qr/^(?:connect-)?timeout$/, 'no answer in time');
}

sub run {
    my ($what, @command) = @_;
    my $proc = $t->start('openssl', {}, @command);
    is($proc->wait(30), 0, $what) or diag($proc->stderr);
}

certificate($t, 'DNS:localhost', file => 'good');
certificate($t, 'DNS:authority', file => 'authority');
certificate($t, 'DNS:other.example', file => 'name');
certificate($t, 'DNS:localhost', file => 'old',
    before => [qw(faketime -f -30d)]);
certificate($t, 'DNS:localhost', file => 'new',
    before => [qw(faketime -f +30d)]);
run('and one of an authority', qw(openssl req -new -newkey ec -pkeyopt
    ec_paramgen_curve:P-256 -nodes -subj /CN=localhost -addext
    subjectAltName=DNS:localhost), '-keyout', "$dir/leaf.key", '-out',
    "$dir/leaf.csr");
run('signed', qw(openssl x509 -req -days 2 -CAcreateserial), '-in',
    "$dir/leaf.csr", '-CA', "$dir/authority.pem", '-CAkey',
    "$dir/authority.key", '-out',
    "$dir/leaf.pem");

my %port = map { $_ => $t->port($_) } 1 .. 7;
my @names = qw(good name old new leaf);
my $servers = join '', map { my $name = $names[$_ - 1];
    my $client = $name eq 'good' ? 'ssl_verify_client optional_no_ca;' : '';
    "server { listen 127.0.0.1:$port{$_} ssl; $client"
    . " ssl_certificate $dir/$name.pem; ssl_certificate_key $dir/$name.key;"
    . " location / { return 204; } }\n" } 1 .. 5;
$t->write_file_expand('nginx.conf', <<"CONF");
events { }
http {
    $servers
    server { listen 127.0.0.1:$port{7}; location / { return 204; } }
    server {
        listen 127.0.0.1:$port{6} ssl;
        ssl_certificate $dir/good.pem;
        ssl_certificate_key $dir/good.key;
        ssl_client_certificate $dir/good.pem;
        ssl_verify_client on;
        location / { return 204; }
    }
}
CONF
$t->run_nginx;

sub tls { causes(verify("https://localhost:$port{$_[0]}/")) }
is(causes(verify("http://localhost:$port{1}/")), 'tls-port',
    'plain HTTP at nginx\'s TLS port');
is(tls(7), 'tls-plain', 'and TLS at its plain port');
is(tls(1), 'tls-self-signed', 'a certificate of its own');
is(tls(5), 'tls-chain', 'one of an authority that is not known');

SKIP: {
    skip('needs a mount namespace', 7) if !$ENV{ES_NAMESPACE};
    mkdir "$dir/trusted";
    $t->write_file('trusted/ca-certificates.crt', join '', map {
        $t->read_file("$_.pem") } qw(good authority name old new));
    is(system('mount', '--bind', "$dir/trusted", '/etc/ssl/certs'), 0,
        'certificates that the system trusts');
    is(tls(1), 'verifies-nothing', 'a trusted one');
    is(tls(2), 'tls-name', 'one of another name');
    is(tls(3), 'tls-expired', 'one that has expired');
    is(tls(4), 'tls-not-yet-valid', 'one that is not valid yet');
    is(tls(5), 'verifies-nothing', 'one of the authority');
    is(causes(verify("https://localhost:$port{6}/")), 'tls-client',
        'a server that wants a client certificate');
}

done_testing();
