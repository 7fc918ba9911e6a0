#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# docs/compromise.md: its commands, in its order, while everything runs.
#
# The names that the page uses as examples become those of the test, and
# systemctl and "nginx -s reload" become signals to the test's own processes.

use warnings;
use strict;

use JSON::PP;
use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Webhooks;

plan skip_all => 'needs jq' if system('jq --version >/dev/null 2>&1') != 0;
plan skip_all => 'needs root, for the groups of a restore' if $> != 0;

my $page = do { local (@ARGV, $/) = 'docs/compromise.md'; <> };
my ($preface, %section) = split /^## (.*)\n/m, $page;

sub blocks { return $_[0] =~ /^```sh\n(.*?)^```$/msg }

my $t = Test::Eventsync->new(workers => 2);
my $keys = $t->testdir . '/secret-keys';
$ENV{EVENTSYNC_KEY_FILE} = $keys;
$ENV{PATH} = $t->build . ":$ENV{PATH}";
system("umask 077; openssl rand -base64 32 > $keys") == 0 or die;
$t->store_init(sealed => 1)->feed('orders');
my $reader = $t->partner_key('acme', feeds => 'orders', publish => 'orders',
    scopes => 'read,manage');
my $producer = $t->partner_key('acme', scopes => 'publish');
my $other = $t->partner_key('acme', scopes => 'read');

$t->default_conf(http => "eventsync_key_file $keys;",
    location => 'eventsync_endpoints on;');
$t->run_nginx;
$t->run_dispatcher("--key-file=$keys");

my $recv = $t->receiver(sub { 204 });
my ($endpoint, $secret) = $t->endpoint('acme', url => $recv->url,
    feeds => 'orders', start => 'oldest');
my $made = $t->http(POST => '/v1/endpoints', { authorization =>
    "Bearer $reader", 'content-type' => 'application/json' },
    JSON::PP::encode_json({ url => 'https://thief.example/hook',
        feeds => ['orders'] }));
is($made->{status}, 201, 'a thief makes an endpoint') or diag($made->{body});
my $thief = Test::Eventsync::json($made->{body})->{name};

sub publish {
    my ($key) = @_;
    return $t->http(POST => '/v1/feeds/orders/events', { authorization =>
        "Bearer $key", 'content-type' => 'application/json' },
        $t->event(time => undef))->{status};
}

sub polled {
    my ($key) = @_;
    return $t->http(GET => '/v1/feeds/orders/events',
        { authorization => "Bearer $key" })->{status};
}

sub id { return (split /_/, $_[0])[1] }

is(publish($producer), 201, 'events are published');
my $held = $t->http_start(GET => '/v1/feeds/orders/events?from=latest&wait=60',
    { authorization => "Bearer $reader" });

my %named = ('k3f9abcdef' => id($reader), 'p4b7abcdef' => id($producer),
    'ep_k3f9abcdefgh2345' => $endpoint, '2026-11-30T08:00:00Z' => 'oldest',
    '/etc/eventsync/secret-keys' => $keys, '/var/lib/eventsync' => $t->store,
    '/var/backups' => $t->testdir, '--group=eventsync' => '--group=root '
        . join(' ', map { "--$_=root" } qw(publish manage ack pages delivery)),
    '--dispatcher=eventsync' => '--dispatcher=root');
my $names = join '|', map { quotemeta } sort { length $b <=> length $a }
    keys %named;

# Runs one block; returns what it prints.  Variables are kept for the blocks
# that follow.
my ($variables, $ran) = ('', 0);
sub run {
    my ($block) = @_;
    my @out;
    $ran++;
    for my $part (split /^(systemctl .*)\n/m, $block) {
        if ($part =~ /^systemctl (stop|start) (\S+)$/) {
            service($1, $2);
            next;
        }
        next if $part !~ /\S/;
        $part =~ s/($names)/$named{$1}/g;
        my $master = $t->{nginx} ? $t->nginx_pid : 0;
        my $proc = $t->start('commands', {}, 'sh', '-ec', <<"SH");
cd '@{[ $t->testdir ]}'
export EVENTSYNC_STORE='@{[ $t->store ]}'
nginx() { [ "\$*" = '-s reload' ] && kill -HUP $master; }
$variables
$part
SH
        $variables .= join '', $part =~ /^(id=.*\n)/mg;
        is($proc->wait(60), 0, 'the commands succeed') or diag($part,
            $proc->stderr);
        push @out, $proc->stdout;
    }
    return join '', @out;
}

sub service {
    my ($verb, $name) = @_;
    return $verb eq 'stop' ? $t->stop_nginx : $t->run_nginx
        if $name eq 'nginx';
    return $verb eq 'stop' ? $t->stop_dispatcher
        : $t->run_dispatcher("--key-file=$keys");
}

###############################################################################

my ($begin) = blocks($preface);
like($begin, qr/^export EVENTSYNC_STORE=.*\nexport EVENTSYNC_KEY_FILE=/,
    'the page begins with the environment');

my ($stop, $look, $again) = blocks($section{q(A partner's key)});
run($stop);
is($t->http_end($held)->{status}, 401, 'a held poll of the key ends');
is(polled($reader), 401, 'and the key is refused');
my $out = run($look);
like($out, qr/"name":"@{[ id($reader) ]}".*"revoked":/, 'its record is shown');
like($out, qr/^\Q$thief\E\tacme\thttps:\/\/thief\.example/m,
    'and the endpoints');
$out = run($again);
like($out, qr/^esk_/m, 'there is a new key');
$reader = ($out =~ /^(esk_\S+)/m)[0];
is(polled($reader), 200, 'that works');
like($out, qr/^\Q$thief\E$/m, 'the endpoint of the thief is paused');
unlike($out, qr/^\Q$endpoint\E$/m, 'and no other');

($stop) = blocks($section{q(A producer's key)});
$out = run($stop);
like($out, qr/"first":"\w+-1","last":"\w+-1".*"partner":"acme"/,
    'what the key published');
is(publish($producer), 401, 'it publishes no more');

my ($rotate, $true) = blocks($section{'The signing secret of an endpoint'});
$out = run($rotate);
my ($new) = $out =~ /^(whsec_\S+)$/m;
ok($new && $new ne $secret, 'a new secret');
run($true);
is(scalar(split /\n/, $t->read_file('true.ndjson')), 2,
    'the true events, and a manifest');

$out = run($_) for (blocks($section{'The key file'}))[0];
is(scalar(split /\n/, $t->read_file('secret-keys')), 1, 'one key is left');
$out = run((blocks($section{'The key file'}))[1]);
is(scalar(() = $out =~ /^whsec_/mg), 2, 'all endpoints have a new secret');

my @worker = blocks($section{'A worker of nginx'});
run(shift @worker);
ok(!$t->{nginx} && !$t->{dispatcher}, 'nothing runs');
$out = run(shift @worker);
like($out, qr/ 0 faults$/m, 'the store is looked at');
$t->ctl_ok('backup', $t->testdir . '/eventsync-trusted');
run(shift @worker);
run(shift @worker);
my @valid = grep { !JSON::PP::decode_json($_)->{revoked} }
    split /\n/, $t->ctl_ok('key', 'list', '--json');
is_deeply(\@valid, [], 'no key is left');
run(shift @worker);
is_deeply(\@worker, [], 'and these are all commands');
is(polled($reader), 401, 'everything runs again, and the keys are refused');
is(polled($t->partner_key('acme')), 200, 'a new one works');

is($ran + 1, scalar(() = $page =~ /^```sh/mg), 'every block of the page was run');
done_testing();
