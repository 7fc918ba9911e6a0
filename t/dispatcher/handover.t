#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# A dispatcher with --wait stands by, and goes on where the other one ends.

use warnings;
use strict;

use MIME::Base64 qw(encode_base64);
use Test::More;
use Time::HiRes qw(sleep);

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Manager;
use Test::Eventsync::Webhooks;

my $t = webhook_store();
my $recv = $t->receiver(sub {
    return $_[0]{path} eq '/slow' ? { delay => 0.5 } : { delay => 0.001 };
});
sub came { my ($path) = @_; grep { $_->{path} eq $path } $recv->requests }

my @waiting = ('--wait', @Test::Eventsync::DISPATCHER_OPTS);
sub start {
    my ($name, @opts) = @_;
    my $opts = ref $opts[0] ? shift @opts : {};
    return $t->start($name, $opts, $t->build . '/eventsync-dispatcher',
        '--store', $t->store, @opts);
}
sub runs {
    my ($proc) = @_;
    return wait_for(sub { $proc->stderr =~ /info: eventsync-dispatcher/ }, 20)
        // (diag($proc->stderr), 0)[1];
}
sub waits_for {
    my ($proc, $for) = @_;
    my $pid = $for->pid;
    return wait_for(sub { $proc->stderr =~ /info: waiting until the dispatcher with the process id $pid ends, which has the store "[^"]+"$/m }, 20)
        // (diag($proc->stderr), 0)[1];
}

###############################################################################
# an orderly hand-over under load: nothing twice, nothing lost, all in order

my $fifo = $t->endpoint('acme', url => $recv->url('/fifo'), feeds => 'orders',
    start => 'oldest');
my $none = $t->endpoint('acme', url => $recv->url('/none'), feeds => 'orders',
    start => 'oldest', ordering => 'none', in_flight => 16);

my $publisher = $t->background('publisher', sub {
    until ($t->told_to_end) {
        put($t, 'orders', 5);
        sleep 0.01;
    }
});

my $old = start('first', @waiting);
ok(runs($old), 'with --wait a dispatcher that is alone starts at once');
unlike($old->stderr, qr/waiting/, 'and waits for nobody');

my @pauses;
for my $round (1 .. 4) {
    my $new = start("next$round", @waiting);
    ok(waits_for($new, $old), "round $round: another one waits for it");
    my $n = $recv->count;
    $recv->wait_for($n + 50, 20) or diag('no traffic');
    unlike($new->stderr, qr/info: eventsync-dispatcher/, '... and does not run');
    is($old->stop('TERM'), 0, '... until the first one ends');
    ok(runs($new), '... and goes on');
    my $before = $recv->count;
    $recv->wait_for($before + 50, 20) or diag('no traffic');
    $old = $new;
}
$t->tell_to_end;
$publisher->wait(20);
my $last = () = stored($t, 'orders');
for my $path (qw(/fifo /none)) {
    ok(wait_for(sub { came($path) >= $last }, 60), "$path gets all events");
    my @sequences = sequences(came($path));
    @sequences = sort { $a <=> $b } @sequences if $path eq '/none';
    is_deeply(\@sequences, [1 .. $last],
        $path eq '/none' ? 'each once' : 'each once, in order');
}

###############################################################################
# what waits ends when it is told to

my $manager = Test::Eventsync::Manager->new($t->testdir . '/notify');
for my $signal (qw(TERM INT QUIT)) {
    $manager->forget;
    my $new = start("ended$signal", { env => { $manager->env } }, @waiting,
        '--pid-file=' . $t->testdir . '/waiting.pid');
    my $pid = $old->pid;
    my $said = $manager->wait_for(qr/Waiting/);
    is($said, "EXTEND_TIMEOUT_USEC=30000000\nSTATUS=Waiting until the "
        . "dispatcher with the process id $pid ends",
        'the service manager is told who is waited for');
    ok(wait_for(sub { $manager->matching(qr/^EXTEND_TIMEOUT_USEC=/) > 2 }),
        '... again and again, so that the start does not time out')
        if $signal eq 'TERM';
    ok(!-e $t->testdir . '/waiting.pid', '... there is no pid file yet');
    is($new->stop($signal), 0, "$signal ends the wait");
    is($manager->matching(qr/^READY=1$/m), 0, '... which never was READY');
    like(($manager->messages)[-1], qr/^STOPPING=1$/m, '... but STOPPING');
    like($new->stderr, qr/info: signal \d+: the wait ends$/m, '... in the log');
}
ok($old->running, 'the other one runs on');

###############################################################################
# what is checked before the wait

for my $case (
    [ 1, qr/error: cannot open the store: /, '--store=' . $t->testdir . '/no' ],
    [ 1, qr/error: /, '--key-file=' . $t->testdir . '/no' ],
    [ 1, qr/error: cannot read "[^"]+\/no": |error: .*\/no/, '--proxy=http://127.0.0.1:1',
        '--proxy-auth-file=' . $t->testdir . '/no' ],
    [ 2, qr/--max-per-host must be/, '--max-per-host=0' ],
    [ 2, qr/unknown option "--waits"/, '--waits' ])
{
    my ($rc, $says, @opts) = @$case;
    my $new = start('wrong', @waiting, @opts);
    is($new->wait(20), $rc, "$opts[-1]: it does not wait");
    like($new->stderr, $says, '... and says why');
    unlike($new->stderr, qr/waiting/, '... at once');
}

# HUP repeats the checks.
{
    my $new = start('again', @waiting);
    waits_for($new, $old);
    kill HUP => $new->pid;
    ok(wait_for(sub { $new->stderr =~ /info: checked again: this dispatcher can start$/m }),
        'HUP checks again');
    rename $t->store . '/format', $t->store . '/format.away';
    kill HUP => $new->pid;
    ok(wait_for(sub { $new->stderr =~ /error: cannot open the store/ }),
        '... and tells a fault');
    rename $t->store . '/format.away', $t->store . '/format';
    ok($new->running, '... which ends nothing');
    is($new->stop('TERM'), 0, '... and it ends as before');
}

# Without --wait.
{
    my $second = start('second');
    is($second->wait(20), 1, 'without --wait a second one is refused');
    my $pid = $old->pid;
    like($second->stderr, qr/error: another dispatcher runs on the store "[^"]+", with the process id $pid$/m,
        'and says which one runs');
}

###############################################################################
# several that wait, and kill -9: one goes on, the others wait for that one

{
    my %waiting = map { $_ => start("many$_", @waiting) } 1 .. 3;
    waits_for($_, $old) for values %waiting;
    for my $signal (qw(TERM KILL TERM)) {
        put($t, 'orders', 20);
        $old->stop($signal);
        my $on = sub { grep { $waiting{$_}->stderr
            =~ /info: eventsync-dispatcher/ } keys %waiting };
        ok(wait_for($on, 20), "after $signal one of those that wait goes on");
        my @on = $on->();
        is(scalar @on, 1, '... only one');
        $old = delete $waiting{$on[0]};
        ok(waits_for($_, $old), '... and another waits for that one')
            for values %waiting;
    }
}
$last = () = stored($t, 'orders');
for my $path (qw(/fifo /none)) {
    my %seen;
    ok(wait_for(sub {
        %seen = map { $_ => 1 } sequences(came($path));
        return keys %seen == $last;
    }, 30), "$path gets all events, at least once");
}
my %seen;
my @first = grep { !$seen{$_}++ } sequences(came('/fifo'));
is_deeply(\@first, [1 .. $last], 'and /fifo gets them in order');

###############################################################################
# what changes during the wait

# Events are trimmed, which the other dispatcher has not seen.
{
    $t->ctl_ok('endpoint', 'pause', $fifo);
    $t->ctl_ok('endpoint', 'pause', $none);
    my $new = start('trimmed', @waiting);
    waits_for($new, $old);
    kill STOP => $old->pid;
    put($t, 'orders', 200);
    my ($cursor) = (stored($t, 'orders'))[-100] =~ /"cursor":"([^"]+)"/;
    $t->ctl_ok('feed', 'trim', 'orders', "--before=$cursor");
    $old->stop('KILL');
    ok(runs($new), 'events are trimmed during a wait');
    $t->ctl_ok('endpoint', 'resume', $fifo);
    ok(wait_for(sub { (sequences(came('/fifo')))[-1] == $last + 200 }, 20),
        '... and goes on');
    my ($after) = grep { $_ > $last } sequences(came('/fifo'));
    is($after, $last + 101, '... at the oldest event that is left');
    ok(wait_for(sub { $new->stderr =~ /warn: retention of feed "orders" has overtaken endpoint $fifo: 100 events/ }),
        '... and reports the lost ones');
    $old = $new;
}

# The directory becomes another store while the other dispatcher runs: there
# nobody has the lock.
my $store = $t->store;
{
    my $new = start('replaced', @waiting);
    waits_for($new, $old);
    local $t->{store} = "$store.new";
    $t->store_init->feed('orders');
    rename $store, "$store.old" or die $!;
    rename "$store.new", $store or die $!;
    ok(runs($new), 'a store is replaced during a wait');
    like($new->stderr, qr/warn: the directory "[^"]+" is another store than before the wait$/m,
        '... as the log says');
    is($new->stop('TERM'), 0, '... and stops');
    is($old->stop('TERM'), 0, 'so does the dispatcher of the old one');
    system('rm', '-rf', "$store.old");
}

# The same at the moment when the other one ends: the lock of the old store says
# nothing about the new one.
{
    my $first = start('before', @waiting);
    ok(runs($first), 'a dispatcher on that store');
    my $new = start('late', @waiting);
    waits_for($new, $first);
    kill STOP => $new->pid;
    local $t->{store} = "$store.new";
    $t->store_init->feed('orders');
    rename $store, "$store.old" or die $!;
    rename "$store.new", $store or die $!;
    $t->{store} = $store;
    is($first->stop('TERM'), 0, '... ends just after the store was replaced');
    kill CONT => $new->pid;
    ok(runs($new), '... the next one has the new store');
    is(start('second')->wait(20), 1, '... with its lock');
    is($new->stop('TERM'), 0, '... and stops');
    system('rm', '-rf', "$store.old");
}

# It has another format by then, or is gone, or the key file has another key.
my $keys = $t->secret_file(encode_base64('k' x 32), 'keys');
for my $case (
    [ 'another format', sub {
        my $text = $t->read_file("$store/format");
        $text =~ s/\b4\b/5/ or die $text;
        $t->write_file('format', $text);
        rename $t->testdir . '/format', "$store/format" or die $!;
    }, qr/error: cannot open the store: .*\b5\b/ ],
    [ 'gone', sub { rename $store, "$store.gone" or die $! },
        qr/error: cannot open the store: / ],
    [ 'another key', sub { $t->secret_file(encode_base64('x' x 32), 'keys') },
        qr/error: the secrets of the store are encrypted under the key \w+; the key file does not contain it/ ])
{
    my ($what, $change, $says) = @$case;
    system('rm', '-rf', $store, "$store.gone");
    $t->store_init(sealed => 1)->feed('orders');
    delete $t->{partners};
    $t->partner('acme', feeds => '*');
    $t->endpoint('acme', url => $recv->url('/sealed'), feeds => 'orders',
        key_file => $keys);
    my $first = start('before', @waiting, "--key-file=$keys");
    ok(runs($first), "$what: a dispatcher runs");
    my $new = start('after', @waiting, "--key-file=$keys");
    waits_for($new, $first);
    $change->();
    is($first->stop('TERM'), 0, '... and ends');
    is($new->wait(20), 1, '... the one that has waited does not start');
    like($new->stderr, $says, '... and says why');
}

# The wrong key file is a reason not to wait, too.
{
    $t->secret_file(encode_base64('k' x 32), 'keys');
    my $first = start('right', @waiting, "--key-file=$keys");
    ok(runs($first), 'a dispatcher with the right key');
    $t->secret_file(encode_base64('x' x 32), 'wrong');
    my $new = start('wrongkey', @waiting, '--key-file=' . $t->testdir
        . '/wrong');
    is($new->wait(20), 1, '... one with the wrong key does not wait');
    like($new->stderr, qr/error: the secrets of the store are encrypted under the key \w+; the key file does not contain it/, '... and says why');
    ok($first->running, '... and the first one runs on');
}

done_testing();
