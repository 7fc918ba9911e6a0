#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# What the operating system refuses is told with the path and the system's own
# words, by every program: nobody is sent to look at a disk that is well.

use warnings;
use strict;

use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Users;

my $t = users_or_skip();

users_store($t, 'x');
$t->feed('orders');
my $key = $t->partner_key('acme', feeds => 'orders', publish => 'orders');
is(publish_as($t, 'root', 'orders'), '', 'a store with an event');

sub closed {
    my ($name, $do) = @_;
    my $path = $t->store . ($name eq '.' ? '' : "/$name");
    my $mode = (stat $path)[2] & 07777;
    chmod 0, $path or die "$path: $!\n";
    $do->($path);
    chmod $mode, $path if $mode != ((stat $path)[2] & 07777);
}

sub publish { publish_as($t, 'operator', 'orders') }

sub http {
    return $t->http(POST => '/v1/feeds/orders/events',
        { authorization => "Bearer $key",
          'content-type' => 'application/cloudevents+json' }, event());
}

# Each is one line, with the path and the reason.
my %inside = ('.' => 'format', log => 'log/data.mdb', ids => 'ids/control',
    registry => 'registry/data.mdb');

for my $name (qw(. format bell log log/data.mdb log/lock.mdb registry
    registry/data.mdb registry/lock.mdb ids ids/control))
{
    closed($name, sub {
        my $path = $t->store . '/' . ($inside{$name} // $name);
        my $why = qq(cannot open "$path": Permission denied\n);
        like(publish(), qr/\Aexit 1: eventsyncctl: [^\n]*\Q$why\E\z/,
            "an operator who may not open $name is told so");
    });
}

for my $name (qw(delivery/data.mdb delivery/lock.mdb checkpoints/lock.mdb
    log/data.mdb))
{
    closed($name, sub {
        my ($path) = @_;
        my $proc = dispatcher_as($t, 'dispatcher');
        is($proc->wait(10), 1, "a dispatcher that may not open $name ends");
        my $why = qq(open the store: cannot open "$path": Permission denied\n);
        like($proc->stderr, qr/error: cannot \Q$why\E/, 'and says so');
    });
}

$t->write_file('owner', '');
rename $t->testdir . '/owner', $t->store . '/delivery/owner';
closed('delivery/owner', sub {
    my ($path) = @_;
    my $proc = dispatcher_as($t, 'dispatcher');
    is($proc->wait(10), 1, 'a dispatcher that may not lock its state ends');
    my $why = qq(lock the store: cannot open "$path": Permission denied\n);
    like($proc->stderr, qr/error: cannot \Q$why\E/, 'and says so');
});

closed('ids/0', sub {
    is(publish(), '', 'a table of the index that is somebody else\'s is made anew');
});

###############################################################################
# limits other than permissions

my $ctl = $t->testdir . '/bin/eventsyncctl';
my $proc = $t->start('few', {}, 'sh', '-c', 'ulimit -n 6; exec "$@"', 'sh',
    $ctl, '--store', $t->store, 'verify');
is($proc->wait(10), 1, 'a program that may have six files open fails');
my $inside = quotemeta($t->store) . '[\w/.]+';
like($proc->stderr, qr/\Aeventsyncctl: cannot open "$inside": Too many open files\n\z/,
    'and says that they are too many');

my $readers = $t->start('readers', {}, $t->build . '/helper/readers',
    $t->store);
ok(wait_for(sub { $readers->stdout =~ /^full after \d+$/m }, 20),
    'one process reads so much that it takes every slot');
is(publish(), "exit 1: eventsyncctl: cannot open \"@{[ $t->store ]}/log\": "
    . "its reader table is full\n", 'others are told so');
$readers->stop('KILL');
$t->forget($readers);
is(publish(), '', 'until it is killed');

SKIP: {
    my $mount = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && '
        . 'exec "$@"';
    skip 'mounting is not allowed', 2
        if system('unshare', '-m', 'sh', '-c', $mount, $t->store, 'true');
    $proc = $t->start('readonly', {}, 'unshare', '-m', 'sh', '-c', $mount,
        $t->store, $ctl, '--store', $t->store, 'feed', 'create', 'other');
    is($proc->wait(10), 1, 'on a disk that is mounted read-only it fails');
    like($proc->stderr, qr/: cannot open "$inside": Read-only file system\n\z/,
        'and says that it is');
}

###############################################################################
# nginx: the partner learns that the store cannot answer, the operator why

closed('ids/control', sub {
    my ($path) = @_;
    nginx_as($t, 'worker');
    my $answer = http();
    is($answer->{status}, 503, 'a publish that may not open the index: 503');
    unlike($answer->{body}, qr/Permission|\Q$path\E/, 'which tells no path');
    my $why = qq(cannot open "$path": Permission denied);
    ok($t->logged('error.log',
        qr/\[error\].*eventsync store failed: \Q$why\E,/),
        'the error log does, with the reason');
});
is(http()->{status}, 201, 'once it may, it can');
$t->stop_nginx;

closed('log/lock.mdb', sub {
    my ($path) = @_;
    nginx_as($t, 'worker');
    my $answer = http();
    is($answer->{status}, 503, 'a worker that may not open the log: 503');
    like($answer->{body}, qr/"detail":"The server cannot open the event store;/,
        'which tells that it cannot be opened');
    like($answer->{headers}{'retry-after'}, qr/^[1-3]$/, 'for now');
    my $why = qq(cannot be opened: cannot open "$path": Permission denied);
    ok($t->logged('error.log', qr/\[crit\].*\Q$why\E/),
        'the error log tells why');
    $answer = $t->http(GET => '/ops/readyz');
    is($answer->{status}, 503, 'it is not ready');
    like($answer->{body}, qr/"store":"closed"/, 'because the store is closed');
});
ok(wait_for(sub { http()->{status} == 201 }), 'once it may, it opens it');

done_testing();
