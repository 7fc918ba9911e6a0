#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# What the attempts of the dispatcher say of a receiver that makes a mistake:
# eventsyncctl endpoint test and attempts, and the HTTP interface.
# t/ctl/hints.t has the rest of the hints.

use warnings;
use strict;

use JSON::PP;
use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Webhooks;

my $t = webhook_store();
my $dir = $t->testdir;
my $key = $t->partner_key('acme', scopes => 'manage,read');

my %answers = (
    type => [{ status => 415 }, 'content-type'],
    undefined => [{ status => 500, body => "<!DOCTYPE html>\n<html lang=\"en\">\n"
        . "<head>\n<meta charset=\"utf-8\">\n<title>Error</title>\n</head>\n"
        . "<body>\n<pre>TypeError: Cannot read properties of undefined" },
        'no-body'],
    moved => [{ status => 308, headers => { Location =>
        'https://www.acme.example/moved' }, body => 'Moved' }, 'redirect'],
    login => [{ status => 302, headers => { Location => '/login' } }, 'login'],
    page => [{ status => 200, body => '<!DOCTYPE html><p>Shop' }, 'web-page'],
    csrf => [{ status => 419 }, 'csrf'],
    firewall => [{ status => 403, body => '<html>Forbidden' }, 'access'],
    path => [{ status => 404 }, 'not-found'],
    secret => [{ status => 401 }, 'refused'],
    closes => [{ raw => '', close => 1 }, 'closed'],
    slow => [{ hang => 1 }, 'timeout'],
);
my $recv = $t->receiver(sub {
    my ($name) = $_[0]{path} =~ m{(\w+)$};
    return $answers{$name} ? $answers{$name}[0] : 204;
});

certificate($t, 'IP:127.0.0.1', file => 'good');
certificate($t, 'IP:127.0.0.2', file => 'name');
certificate($t, 'IP:127.0.0.1', file => 'old',
    before => [qw(faketime -f -30d)]);
my %tls = (good => 0, name => 1, old => 2);
$t->write_file('all.pem', join '', map { $t->read_file("$_.pem") } keys %tls);

my $servers = join '', map { "server { listen 127.0.0.1:%%PORT_$tls{$_}%% ssl;"
    . " ssl_certificate $dir/$_.pem; ssl_certificate_key $dir/$_.key;"
    . " location / { return 204; } }\n" } sort keys %tls;
$t->write_file_expand('nginx.conf', <<"CONF");
events { }
http {
    eventsync_store %%STORE%%;
    $servers
    server {
        listen 127.0.0.1:%%PORT_3%%;
        location /v1/ {
            eventsync_poll on;
            eventsync_endpoints on;
        }
    }
}
CONF
$t->run_nginx;

my $http = 'http://127.0.0.1:';
my $https = 'https://127.0.0.1:';
my %urls = (
    (map { $_ => [$recv->url("/$_"), $answers{$_}[1]] } keys %answers),
    untrusted => [$https . $t->port(0), 'tls-self-signed'],
    name => [$https . $t->port(1), 'tls-name', ca_file => 'all.pem'],
    expired => [$https . $t->port(2), 'tls-expired', ca_file => 'all.pem'],
    plain => [$https . $t->port(3), 'tls-plain', ca_file => 'all.pem'],
    port => [$http . $t->port(0), 'tls-port'],
    nobody => [$http . Test::Eventsync::free_port(), 'connect'],
    nowhere => ['http://no-such-host.invalid/', 'dns'],
    private => ['https://10.1.2.3/', 'address'],
    good => [$https . $t->port(0), '', ca_file => 'all.pem'],
    right => [$recv->url('/right'), ''],
);
my %name = map { my ($url, undef, %opts) = @{ $urls{$_} };
    $_ => scalar $t->endpoint('acme', url => $url, feeds => 'orders',
        timeout => $_ eq 'slow' ? '200ms' : '10s', %opts) } keys %urls;
$t->run_dispatcher("--tls-dir=$dir");

my %said;
for my $case (sort keys %urls) {
    my ($rc, $out) = $t->ctl(qw(endpoint test), $name{$case});
    $said{$case} = $out;
    my ($cause, $hint) = $out =~ /^hint ([a-z-]+): (\S.*)$/m;
    is($cause // '', $urls{$case}[1], "$case: the test has its hint")
        or diag($out);
    is($rc, $case =~ /^(?:page|good|right)$/ ? 0 : 1, '... and exit status');
}
like($said{moved}, qr{^location=https://www\.acme\.example/moved$}m,
    'the target of a redirect is printed');

for my $case (sort keys %urls) {
    my ($attempt) = attempts($t, $name{$case});
    is($attempt->{cause} // '', $urls{$case}[1], "$case: so has its attempt");
}

my (undef, $told) = $t->ctl(qw(endpoint test), $name{moved}, '--json');
my $test = decode_json($told);
is("$test->{location} $test->{cause}",
    'https://www.acme.example/moved redirect', 'and with its cause as JSON');
like($test->{hint}, qr/^Redirects are not followed\. /, '... and the hint');

my ($json) = map { decode_json($_) } split /\n/,
    $t->ctl_ok(qw(endpoint attempts), $name{moved}, '--json');
is("$json->{location} $json->{cause} $json->{body}",
    'https://www.acme.example/moved redirect ', 'a redirect as JSON');
like($json->{hint}, qr/^Redirects are not followed\. /, 'with the hint');

sub over_http {
    my ($case) = @_;
    my $answer = $t->http(GET => "/v1/endpoints/$name{$case}/attempts",
        { authorization => "Bearer $key" }, undef, port => $t->port(3));
    return decode_json($answer->{body})->{attempts}[0];
}
$json = over_http('expired');
is("$json->{status} $json->{class} $json->{cause} '$json->{body}'",
    "0 tls tls-expired ''", 'the HTTP interface has the cause');
like($json->{hint}, qr/^The certificate has expired\. /, '... and the hint');
$json = over_http('undefined');
like($json->{body}, qr/^<!DOCTYPE/, 'an answer has its body');
is($json->{cause}, 'no-body', '... and the cause');
ok(!exists over_http('right')->{cause}, 'a success has none');

# A simulated failure says nothing of the receiver.
$t->ctl_ok(qw(endpoint simulate), $name{right}, '--failure=status',
    '--status=415');
put($t, 'orders', 1);
ok(wait_for(sub { grep { $_->{line} =~ / simulated/ }
    attempts($t, $name{right}) }), 'a simulated failure');
is_deeply([grep { $_->{cause} } attempts($t, $name{right})], [],
    'has no hint');

my $out;
ok(wait_for(sub { ($out) = $t->ctl_ok('explain', $name{type})
    =~ /^failing.*?\n +next: (.*)$/m }), 'explain has the failure');
like($out, qr/^The receiver does not take this content type\. /,
    '... and its hint');

done_testing();
