#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# A store of an older format is refused by every program, with one line that
# names the way, and stays as it is.  format-3.tar.xz is a store that the last
# build of format 3 made.

use warnings;
use strict;

use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);

my $t = Test::Eventsync->new(workers => 1);
my $dir = $t->testdir;
my $new = '"tail FEED" of the old eventsyncctl into "publish FEED --format=tail"'
    . ' of this one, for a new store';
my $line = qr/is a store of format 3, but this program reads format 4: pipe $new/;

is(system('tar', '-xJf', "$Test::Eventsync::ROOT/t/store/format-3.tar.xz",
    '-C', $dir), 0, 'the old store is there');
my $before = state();
like($before, qr/ log\/data\.mdb$/m, 'with a log');

###############################################################################
# eventsyncctl: reading, writing, checking, copying

for my $command (['feed', 'list'], ['tail', 'orders'], ['verify'],
    ['partner', 'list'], ['partner', 'create', 'other'], ['key', 'list'],
    ['feed', 'create', 'more'], ['publish', 'orders'],  ['endpoint', 'status'], ['backup', "$dir/copy"])
{
    my ($rc, $out, $err) = $t->ctl({ stdin => $t->event . "\n" }, @$command);
    is($rc, 1, "@$command is refused");
    like($err, qr/\Aeventsyncctl: "\Q$dir\E\/store" $line\n\z/,
        "@$command says the way, in one line");
    is($out, '', "@$command prints nothing else");
}
is(state(), $before, 'and changes nothing');
ok(!-e "$dir/copy", 'no backup is left behind');

my ($rc, undef, $err) = $t->ctl('init');
is($rc, 1, 'no new store is made in its place');
like($err, qr/already is an eventsync store/, 'and init says why');

###############################################################################
# nginx and the dispatcher

$t->allow_errors(qr/store of format 3/);
my ($status, $said) = $t->check_conf(
    'events { } http { eventsync_store %%STORE%%; }');
is($status, 1, 'nginx -t refuses it');
like($said, qr/\[emerg\].*cannot be used: "\Q$dir\E\/store" $line/,
    'and says the way');

my $dispatcher = $t->start('dispatcher', {},
    $t->build . '/eventsync-dispatcher', '--store', "$dir/store");
is($dispatcher->wait(20), 1, 'the dispatcher refuses it');
like($dispatcher->stderr, qr/\A[^\n]*"\Q$dir\E\/store" $line\n\z/,
    'and says the way, in one line');
is(state(), $before, 'and nothing has changed');

###############################################################################
# a newer store, in the place of the one that runs

# A package of the next version could leave the old programs running.  An old
# worker that starts then must not take the new format for its own.
$t = Test::Eventsync->new(workers => 1);
$dir = $t->testdir;
$t->allow_errors(qr/store of format 5/);
$t->store_init->feed('orders');
my $key = $t->master_key;
$t->default_conf;
$t->run_nginx;
is($t->publish('orders', { key => $key }, { id => 'e1' })->{status}, 201,
    'a worker serves a store of its format');
my $format = $t->read_file('store/format');
my ($pid) = Test::Eventsync::children($t->nginx_pid);
$t->write_file('store/format', $format =~ s/\A(eventsync-store) \d+/$1 5/r);
$before = `sha256sum $dir/store/*/data.mdb $dir/store/ids/*`;
kill TERM => $pid;
ok(wait_for(sub { my ($next) = Test::Eventsync::children($t->nginx_pid);
    $next && $next != $pid }), 'another worker starts on a newer one');
for my $request ([ GET => '/v1/feeds' ], [ GET => '/v1/feeds/orders/events' ],
    [ POST => '/v1/feeds/orders/events', $t->event(id => 'e2') ])
{
    my ($method, $url, $body) = @$request;
    is($t->http($method => $url, { authorization => "Bearer $key",
        'content-type' => 'application/cloudevents+json' }, $body)->{status},
        503, "it refuses to $method $url");
}
like($t->read_file('error.log'), qr/store of format 5, but this program reads format 4$/m,
    'and says why');
for my $command ([ 'feed', 'list' ], [ 'publish', 'orders' ], [ 'verify' ]) {
    ($rc, undef, $err) = $t->ctl({ stdin => $t->event . "\n" }, @$command);
    is($rc, 1, "so does @$command");
    like($err, qr/\A[^\n]*format 5, but this program reads format 4\n\z/,
        'in one line');
}
is(`sha256sum $dir/store/*/data.mdb $dir/store/ids/*`, $before,
    'nothing has changed');
$t->write_file('store/format', $format);
ok(wait_for(sub { $t->http(GET => '/v1/feeds/orders/events',
    { authorization => "Bearer $key" })->{status} == 200 }), 'the worker serves its own format again');

done_testing();

# Names, modes, sizes, times and contents.
sub state {
    return join "\n", map {
        my @stat = stat;
        "@stat[2, 7, 9, 10] " . (-f $_ ? `sha256sum < '$_'` =~ s/ .*//sr : '')
            . s/\A\Q$dir\E\/store\/?/ /r
    } sort split /\n/, `find '$dir/store'`;
}
