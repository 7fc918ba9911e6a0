#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Secrets that partners make by HTTP are encrypted too: eventsync_key_file.

use warnings;
use strict;

use JSON::PP;
use MIME::Base64 qw(encode_base64);
use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Webhooks;

my $t = webhook_store();
$t->{partners}{acme} = 1;
my $key = $t->partner_key('acme', scopes => 'read,manage');
my $recv = $t->receiver(200);
$t->write_file('one', encode_base64('1' x 32));
$t->write_file('two', encode_base64('2' x 32) . encode_base64('1' x 32));
$t->write_file('bad', "no key\n");
chmod 0600, map { $t->testdir . "/$_" } qw(one two bad);
my $location = "eventsync_endpoints on;\n eventsync_ratelimit_headers off;";

sub ask {
    my ($method, $path, $body) = @_;
    my $r = $t->http($method => "/v1/endpoints$path", {
        authorization => "Bearer $key", 'content-type' => 'application/json'
    }, $body ? JSON::PP->new->encode($body) : ());
    $r->{json} = Test::Eventsync::json($r->{body}) if $r->{body};
    return $r;
}

sub restart {
    my (%conf) = @_;
    $t->stop_nginx if $t->{nginx};
    $t->default_conf(location => $location, %conf);
    $t->run_nginx;
}

sub secrets {
    my $shown = Test::Eventsync::json($t->ctl_ok('endpoint', 'show', $_[0]));
    return map { ref $_ ? $_->{secret} : $_ } @{ $shown->{secrets} };
}

###############################################################################
# the directive

sub conf {
    my ($http, @servers) = @_;
    my $servers = join "\n", map { "server { listen 127.0.0.1:%%PORT_0%%;
        $_ location /v1/ {
        eventsync_endpoints on; } }" } @servers;
    return $t->check_conf("events { }
http { eventsync_store %%STORE%%;
$http
$servers }");
}

my $dir = $t->testdir;
for (['eventsync_key_file bad;', qr/"\S+bad": line 1 is not 32 bytes.*:\d+$/m,
        'not a key'],
    ['eventsync_key_file none;', qr/cannot be opened: No such file.*:\d+$/m,
        'no file'],
    ['eventsync_key_file one; eventsync_key_file one;', qr/is duplicate/,
        'twice'],
    ['eventsync_key_file;', qr/invalid number of arguments/, 'no path'])
{
    my ($rc, $said) = conf($_->[0], '');
    isnt($rc, 0, "$_->[2] is refused");
    like($said, $_->[1], '... with where and why');
}
chmod 0644, "$dir/one";
my ($rc, $said) = conf('eventsync_key_file one;', '');
like($said, qr/must be a file of mode 0600 or 0640, not 0644/,
    'others may not read it');
chmod 0600, "$dir/one";
is((conf('eventsync_key_file one;', '', ''))[0], 0, 'for all servers');
is((conf('', 'eventsync_key_file one;', 'eventsync_key_file one;'))[0], 0,
    'or for each');
($rc, $said) = conf('', 'eventsync_key_file one;', 'eventsync_key_file two;');
isnt($rc, 0, 'servers with the same store need the same keys');
like($said, qr/"eventsync_key_file" of store "\S+" differs/, '... it says');
isnt((conf('', 'eventsync_key_file one;', ''))[0], 0, 'all of them');

###############################################################################
# plain, then encrypted

restart();
ok($t->logged('error.log',
    qr/no "eventsync_key_file": secrets .* plain text/), 'a warning');
my $made = ask(POST => '', { url => $recv->url('/a'),
    feeds => ['orders'] })->{json};
my ($name, $secret) = @{$made}{qw(name secret)};
is_deeply([secrets($name)], [$secret], 'without keys it is plain');

restart(http => 'eventsync_key_file one;');
my $next = ask(POST => "/$name/rotate", { overlap => '1h' })->{json}{secret};
like($_, qr/^sealed:/, 'with keys it is not, nor the one before')
    for secrets($name);
$made = ask(POST => '', { url => $recv->url('/b'),
    feeds => ['orders'] })->{json};
like((secrets($made->{name}))[0], qr/^sealed:/, 'nor that of a new one');
is_deeply(ask(GET => "/$made->{name}")->{json}{secrets},
    [{ kind => 'v1' }], 'which is shown as before');
$t->run_dispatcher('--key-file', "$dir/one");
put($t, 'orders', 1);
ok($recv->wait_for(2), 'both are sent');
for my $request ($recv->requests) {
    ok(signature_ok($request, $_), "$request->{path} is signed")
        for $request->{path} eq '/a' ? ($secret, $next) : $made->{secret};
}

# A partner cannot use the secret of another endpoint, though it were told.
my ($sealed) = secrets($name);
my $r = ask(PATCH => "/$made->{name}", { secrets => [$sealed] });
is($r->{status}, 400, 'a sealed secret is not taken');
like($r->{json}{detail}, qr/is not one of the endpoint's own/, '... why');

###############################################################################
# without the keys

restart();
ok($t->logged('error.log',
    qr/key file is needed; endpoints cannot be created/), 'it says so');
is(ask(PATCH => "/$name", { in_flight => 3 })->{status}, 200,
    'what is no secret can be changed');
$t->allow_errors(qr/key file/);
for (['', { url => $recv->url, feeds => ['orders'] }],
    ["/$name/rotate", { }])
{
    $r = ask(POST => $_->[0], $_->[1]);
    is($r->{status}, 500, 'what is secret cannot');
    unlike($r->{body}, qr/key/, '... and the partner is not told why');
}
like((secrets($name))[0], qr/^sealed:/, 'nothing was changed');

# A new key comes in before the store changes over to it.
restart(http => 'eventsync_key_file two;');
like($t->ctl_ok('store', 'rekey', '--key-file', "$dir/two"),
    qr/^[23] secrets/, 'another key');
is(ask(POST => "/$name/rotate", { overlap => '0' })->{status}, 200,
    'is in use');

###############################################################################
# core dumps

# The largest core dump that the worker may leave.
sub core_dump {
    my $pid;
    wait_for(sub { ($pid) = $t->workers });
    return $t->read_file("/proc/$pid/limits")
        =~ /^Max core file size\s+\S+\s+(\S+)/m ? $1 : undef;
}

restart();
is(core_dump(), '0', 'a worker leaves no core dump, for the keys of its clients');
is((stat '/proc/' . ($t->workers)[0] . '/mem')[4], 0,
    'and only root can read its memory');
restart(http => 'eventsync_key_file two;', main => 'worker_rlimit_core 1m;');
  SKIP: {
    skip 'core dumps are off on this machine', 1
        if `sh -c 'ulimit -H -c'` =~ /^0$/;
    is(core_dump(), 1 << 20, 'unless the operator wants one');
}
ok($t->logged('error.log', qr/a core dump of a worker has keys of clients/),
    '... and is warned');

ok($t->verify, 'nothing is wrong');
$t->finish;
done_testing();
