#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# The programs of docs/guides/, as the pages have them: each receiver passes
# verify-integration, each poller verify-poller, and together they have every
# event, whatever is lost.

use warnings;
use strict;

use Digest::SHA qw(hmac_sha256_base64);
use JSON::PP;
use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Guides qw(@GUIDES below guide missing parts place
    run_guide);
use Test::Eventsync::Webhooks;

my $SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
my $WAIT = 120;         # compilers, on a machine that has much to do
my $t = webhook_store();
my $json = JSON::PP->new->utf8->canonical->allow_nonref;
my %at;

my $index = do { local (@ARGV, $/) = 'docs/guides/README.md'; <> };
is(join(' ', sort $index =~ /^\| \[(\w+)\.md\]/mg), "@GUIDES",
    'the index has each guide');

for my $name (@GUIDES) {
    my $guide = guide($name);
    ok($guide->{poller} && $guide->{receiver}, "$name: has both programs");
    if (defined(my $why = missing($t, $name))) {
        diag("without $name: $why");
        next;
    }
    $at{$name} = { guide => $guide, dir => place($t, $name, $guide) };
}
if (!%at) {
    done_testing();
    exit;
}

# All steps but "slow", which takes as long as a poller waits.
my @steps = grep { $_ ne 'first' && $_ ne 'slow' }
    $t->ctl_ok('verify-poller', '--list') =~ /^([a-z-]+) +(?!--sse)\S/mg;
for my $name (sort keys %at) {
    my $dir = place($t, "verify-$name", $at{$name}{guide});
    my $run = below($name) // die "the index has no command of $name";
    $t->write_file("verify-$name/run", join "\n", "cd '$dir'",
        (parts($at{$name}{guide}{poller}))[0] . 'mkdir -p prove',
        'cd prove', "exec $run");
    $at{$name}{verify} = $t->start("verify-$name", { env =>
        { GOCACHE => $t->build . '/go-cache' } }, $t->build . '/eventsyncctl',
        'verify-poller', '--port=0', '--silence=60s', '--only='
            . join(',', @steps), "--run=sh '$dir/run'");
}

my @pushed = sort keys %at;
my %key = map { $_ => $t->partner_key('acme', feeds => 'orders') } keys %at;

# What a page tells its reader to set.
sub variables {
    my ($name) = @_;
    return (EVENTSYNC_KEY => $key{$name}, EVENTSYNC_FEED => 'orders',
        EVENTSYNC_URL => 'http://127.0.0.1:' . $t->port(0) . '/v1',
        PATH => $t->build . ":$ENV{PATH}");
}

###############################################################################
# receivers

for my $name (@pushed) {
    my $port = Test::Eventsync::free_port();
    my $proc = run_guide($t, $name, $at{$name}{guide}{receiver},
        variables($name), PORT => $port, WEBHOOK_SECRET => $SECRET);
    @{ $at{$name} }{qw(receiver port url)}
        = ($proc, $port, "http://127.0.0.1:$port/hook");
}
for my $name (@pushed) {
    my ($proc, $port) = @{ $at{$name} }{qw(receiver port)};
    ok(wait_for(sub { !$proc->running || Test::Eventsync::port_open($port) },
        $WAIT) && $proc->running, "$name: the receiver starts")
        or diag($proc->stderr);
    my ($rc, $out) = $t->ctl('verify-integration', '--thin', '--batch',
        "--url=$at{$name}{url}", "--secret=$SECRET");
    is($rc, 0, "$name: it passes verify-integration") or diag($out);
    is(received($name), '', "$name: and keeps no test");
}

# "listen" has a log in the place of the inbox.
sub received {
    my ($name) = @_;
    return $name ne 'curl' ? inbox($name) : names(map { $json->decode($_) }
        split /\n/, $t->read_file('curl/events.ndjson'));
}

sub inbox {
    my ($name) = @_;
    return join ' ', sort map { s{.*/}{}r } glob "$at{$name}{dir}/inbox/*";
}

sub logged { return map { $json->decode($_) } stored($t, 'orders') }

sub names { return join ' ', sort map { "$_->{cursor}.json" } @_ }

my $n = 0;
sub publish {
    my ($count) = @_;
    $t->ctl_ok({ stdin => join '', map { $n++; $json->encode({ id => "o$n",
        specversion => '1.0', source => '/shop', type => 'order.paid',
        subject => "order/$n", data => { total => 129.5, n => $n,
            list => [], none => {}, name => "\x{17e}lu\x{165} \\ \" /" } })
        . "\n" } 1 .. $count }, 'publish', 'orders');
}

$t->default_conf;
$t->run_nginx;
$t->endpoint('acme', url => $at{$_}{url}, secret => $SECRET, feeds => 'orders',
    start => 'oldest', batch => 10) for @pushed;
publish(60);
$t->run_dispatcher;
my $all = names(logged());
for my $name (@pushed) {
    ok(wait_for(sub { received($name) eq $all || !$t->{dispatcher}->running },
        $WAIT) && received($name) eq $all,
        "$name: the receiver has every event")
        or diag($at{$name}{receiver}->stderr);
}
is($t->stop_dispatcher, 0, 'the dispatcher ends');

###############################################################################
# pollers: of all webhooks that follow, none comes

publish(200);

sub start_poller {
    my ($name) = @_;
    $at{$name}{poller} = run_guide($t, $name, $at{$name}{guide}{poller},
        variables($name));
}

sub all_have {
    my ($what) = @_;
    my $all = names(logged());
    for my $name (sort keys %at) {
        ok(wait_for(sub { inbox($name) eq $all }, $WAIT), "$name: $what")
            or diag($at{$name}{poller}->stderr);
    }
}

start_poller($_) for sort keys %at;
all_have('the poller brings what no webhook brought');
publish(1);
all_have('and what comes while it waits');

for my $name (sort keys %at) {
    $at{$name}{poller}->kill('KILL');
    $at{$name}{poller}->wait(20);
}
publish(120);
start_poller($_) for sort keys %at;
all_have('killed and started again, it goes on');

my %log = map { $_->{cursor} => $_ } logged();
for my $name (sort keys %at) {
    my @differ = grep { $json->encode($json->decode(
        $t->read_file("$name/inbox/$_.json"))) ne $json->encode($log{$_}) }
        keys %log;
    is_deeply(\@differ, [], "$name: and has the events as the log has them");
}

$t->stop_nginx;
for my $name (sort keys %at) {
    ok(wait_for(sub { $at{$name}{poller}->stderr =~ /again in/ }, $WAIT),
        "$name: it waits for a server that is away");

    # The first failure may be that of a request that was under way.
    ok(wait_for(sub { $at{$name}{poller}->stderr =~ /connect|refused/i }, $WAIT),
        "$name: and says why") or diag($at{$name}{poller}->stderr);
}
publish(1);
$t->run_nginx;
all_have('and goes on when that is back');

$t->ctl_ok('feed', 'reset', 'orders');
for my $name (sort keys %at) {
    ok(wait_for(sub { $at{$name}{poller}->stderr =~ /lost events: / }, $WAIT),
        "$name: it reports lost events");
}
publish(2);
my @new = logged();
for my $name (sort keys %at) {
    ok(wait_for(sub { 2 == grep { -e "$at{$name}{dir}/inbox/$_->{cursor}.json" }
        @new }, $WAIT), "$name: and goes on after a reset");
}

$t->ctl_ok('key', 'revoke', (split /_/, $key{$_})[1]) for keys %key;
for my $name (sort keys %at) {
    my $poller = $at{$name}{poller};
    isnt($poller->wait($WAIT), 0, "$name: it ends when its key is revoked");
    like($poller->stderr, qr/401/, "$name: and says so");
    my @left = grep { !m{/new-} || !/receiver/ } glob "$at{$name}{dir}/new-*";
    cmp_ok(@left, '<=', 1, "$name: no file is left over but by the kill");
}

for my $name (sort keys %at) {
    my $verify = $at{$name}{verify};
    is($verify->wait($WAIT), 0, "$name: the poller passes verify-poller")
        or diag($verify->stdout, $verify->stderr);
}

###############################################################################
# a receiver without a secret, which an attacker knows as well: it is empty

sub forged {
    my ($port) = @_;
    my $body = $json->encode({ specversion => '1.0', id => 'forged',
        source => '/x', type => 'x', cursor => 'forged-1' });
    my $at = time;
    my $mac = hmac_sha256_base64("forged.$at.$body", '') . '=';
    return $t->http(POST => '/hook', { 'webhook-id' => 'forged',
        'webhook-timestamp' => $at, 'webhook-signature' => "v1,$mac" }, $body,
        port => $port)->{status};
}

for my $name (@pushed) {
    my $port = $at{$name}{open_port} = Test::Eventsync::free_port();
    $at{$name}{open} = run_guide($t, $name,
        (parts($at{$name}{guide}{receiver}))[1], variables($name),
        CLASSPATH => '/usr/share/java/*:.', PORT => $port,
        WEBHOOK_SECRET => '');
}
for my $name (@pushed) {
    my ($proc, $port) = @{ $at{$name} }{qw(open open_port)};
    ok(wait_for(sub { !$proc->running || Test::Eventsync::port_open($port) },
        $WAIT), "$name: without a secret it ends, or")
        or diag($proc->stderr);
    unlike($proc->running ? forged($port) : 'ended', qr/^2/,
        "$name: refuses what is signed with none");
    like($proc->stderr, qr/secret/i, "$name: and says so");
    $proc->kill('KILL');
    $proc->wait(20);
}

$_->{receiver}->kill('KILL') for grep { $_->{receiver} } values %at;
$_->{receiver}->wait(20) for grep { $_->{receiver} } values %at;

done_testing();
