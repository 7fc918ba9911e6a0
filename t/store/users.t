#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# The users of docs/operations.md share a store by its group: nginx's workers,
# the dispatcher, root and an operator who is not root.  Each of them makes
# files in it, and the others can use them, whoever was first.

use warnings;
use strict;

use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Users;
use File::Path qw(remove_tree);

my $t = users_or_skip();
my $key;

# What each of them does; '' when it worked.
my %publish = (
    root => sub { publish_as($t, 'root', 'orders') },
    operator => sub { publish_as($t, 'operator', 'orders') },
    worker => sub {
        my $answer = $t->http(POST => '/v1/feeds/orders/events',
            { authorization => "Bearer $key",
              'content-type' => 'application/cloudevents+json' }, event());
        return $answer->{status} == 201 ? ''
            : "$answer->{status} " . $t->read_file('error.log');
    },
    # it publishes what becomes of an endpoint
    dispatcher => sub {
        my ($endpoint) = @_;
        my $before = told();
        $t->ctl_ok('endpoint', 'resume', $endpoint);
        publish_as($t, 'root', 'dead');
        return wait_for(sub { told() > $before }) ? ''
            : $t->{dispatcher}->stderr;
    },
);

sub told {
    my ($rc, $out) = ctl_as($t, 'root', {}, 'tail', 'ops', '--from=oldest');
    return scalar(() = $out =~ /endpoint\.disabled/g);
}

# What does not belong to the group, or has another mode than it should.
sub wrong_files {
    my @wrong;
    for my $file (split /\0/, `find @{[ $t->store ]} -print0`) {
        my @st = stat $file;
        my $mode = $st[2] & 07777;
        push @wrong, sprintf('%s: group %d, mode %o', $file, $st[5], $mode)
            if $st[5] != $Test::Eventsync::Users::GROUP
            || $mode != (-d _ ? 02770 : 0660);
    }
    return @wrong;
}

my $recv = $t->receiver(sub { 410 });

for my $first (qw(root worker dispatcher operator)) {
    users_store($t, $first);
    $t->ctl_ok('feed', 'create', $_) for qw(orders dead ops);
    $key = $t->partner_key('acme', feeds => 'orders,dead,ops',
        publish => 'orders', operations => 'ops');
    my $endpoint = $t->endpoint('acme', url => $recv->url('/'),
        feeds => 'dead', start => 'oldest', schedule => '0');

    # The dispatcher publishes what becomes of an event, so there must be one;
    # the index may be lost.
    if ($first eq 'dispatcher') {
        is(publish_as($t, 'root', 'dead'), '', 'dispatcher: an event is there');
        remove_tree($t->store . '/ids');
    }

    dispatcher_as($t, 'dispatcher');
    nginx_as($t, 'worker');

    if ($first eq 'dispatcher') {
        ok(wait_for(sub { told() }), 'dispatcher: publishes first')
            or diag($t->{dispatcher}->stderr);
    } else {
        is($publish{$first}->($endpoint), '', "$first: publishes first");
    }
    for my $then (grep { $_ ne $first } qw(root worker operator dispatcher)) {
        is($publish{$then}->($endpoint), '', "$first: then the $then can");
    }

    is($t->http(GET => '/v1/feeds/orders/checkpoints/c',
        { authorization => "Bearer $key" })->{status}, 404,
        "$first: the worker reads checkpoints");
    my ($rc, $out, $err) = ctl_as($t, 'operator', {}, 'verify');
    is($rc, 0, "$first: the operator can verify") or diag("$out$err");
    is_deeply([ wrong_files() ], [],
        "$first: all files are the group's, whatever the umask");

    $t->stop_nginx;
    $t->stop_dispatcher;
    remove_tree($t->store);
}

###############################################################################
# files that come later: LMDB makes a lock file that a restored copy has not

users_store($t, 'copy');
unlink map { $t->store . "/$_" } qw(bell log/lock.mdb registry/lock.mdb
    delivery/lock.mdb checkpoints/lock.mdb);
my ($rc, undef, $err) = ctl_as($t, 'operator', {}, 'feed', 'create', 'orders');
is($rc, 0, 'a store without lock files and bell can be used') or diag($err);
is(publish_as($t, 'operator', 'orders'), '', 'and published to');
dispatcher_as($t, 'dispatcher');
ok(wait_for(sub { $t->{dispatcher}->stderr =~ /info: eventsync-dispatcher/ }),
    'the dispatcher starts on it');
$t->stop_dispatcher;
is((ctl_as($t, 'root', {}, 'verify'))[0], 0, 'root proves it');
is_deeply([ wrong_files() ], [], 'and what they made is all the group\'s');

# Without set-group-id the group is given by whoever may.
users_store($t, 'plain');
system('find', $t->store, qw(-type d -exec chmod g-s {} +));
($rc) = ctl_as($t, 'root', {}, 'feed', 'create', 'orders');
is($rc, 0, 'a store without set-group-id bits');
is(publish_as($t, 'root', 'orders'), '', 'root publishes to it');
is(publish_as($t, 'operator', 'orders'), '', 'and then an operator');

done_testing();
