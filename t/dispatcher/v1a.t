#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# v1a signatures are made beside the loop: what is sent is signed, in order and
# once, whatever is changed, moved, removed or stopped meanwhile.

use warnings;
use strict;

use Test::More;
use Time::HiRes qw(sleep);

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Webhooks;

use constant {
    EVENTS => 200,
    LOOKED_AT => 15,       # of each: openssl is a process
};

my $t = webhook_store();
my $recv = $t->receiver(200);
my %secret;

sub endpoint {
    my ($path, %opts) = @_;
    my ($name, $secret) = $t->endpoint('acme', url => $recv->url("/$path"),
        feeds => 'orders', start => 'oldest', %opts);
    $secret{$name} = $secret;
    rotate($name);
    return $name;
}

sub rotate {
    $t->ctl_ok('endpoint', 'rotate', $_[0], '--kind=v1a', '--overlap=0');
}

sub public_keys {
    return map { $_->{x} } @{ Test::Eventsync::json(
        $t->ctl_ok('endpoint', 'keys', $_[0]))->{keys} };
}

sub came { my ($path) = @_; grep { $_->{path} eq "/$path" } $recv->requests }

# Of a few, from all over the list.
sub unsigned {
    my ($requests, @keys) = @_;
    my $step = int(@$requests / LOOKED_AT) || 1;
    return grep { my $r = $_; !grep { v1a_ok($t, $r, $_) } @keys }
        map { $requests->[$step * $_] } 0 .. int($#$requests / $step);
}

sub ids { return map { $_->{body} =~ /"id":"([^"]+)"/g } @_ }

###############################################################################
# each order, and batches

my @ids = put($t, 'orders', map { { subject => 's' . $_ % 3 } } 1 .. EVENTS);
my %name = (
    fifo => endpoint('fifo'),
    key => endpoint('key', ordering => 'key', in_flight => 8),
    none => endpoint('none', ordering => 'none', in_flight => 64),
    batch => endpoint('batch', batch => 16, ordering => 'none',
        in_flight => 8),
    thin => endpoint('thin', body => 'thin', ordering => 'none',
        in_flight => 64),
);
$t->run_dispatcher;
my %got;
ok(wait_for(sub {
    sleep 0.3;
    %got = map { $_ => [came($_)] } keys %name;
    return !grep { ids(@{ $got{$_} }) < EVENTS } keys %name;
}, 60), 'all are sent everything');

for my $path (sort keys %name) {
    my @came = @{ $got{$path} };
    is_deeply([sort(ids(@came))], [sort @ids], "$path: each event once");
    is_deeply([grep { !signature_ok($_, $secret{$name{$path}}) } @came], [],
        '... is signed by the secret');
    my @keys = public_keys($name{$path});
    is(scalar @keys, 1, '... and by one pair');
    is_deeply([unsigned(\@came, @keys)], [], '... which verifies');
}
is_deeply([ids(@{ $got{fifo} })], \@ids, 'fifo keeps the order');

# What is in no log.
$t->ctl_ok('endpoint', 'test', $name{none});
ok(wait_for(sub { came('none') > EVENTS }), 'a test event');
is_deeply([unsigned([(came('none'))[-1]], public_keys($name{none}))], [],
    'is signed, too');
is($t->stop_dispatcher, 0, 'the dispatcher stops');
$t->ctl_ok('endpoint', 'remove', $_) for values %name;

###############################################################################
# changes, pauses, replays and removals while signatures are made

{
    my $name = endpoint('changes', ordering => 'none', in_flight => 64);
    my $gone = endpoint('gone', ordering => 'none', in_flight => 64);
    $t->run_dispatcher;
    ok(wait_for(sub { came('changes') && came('gone') }), 'traffic');
    my @keys = public_keys($name);
    for my $round (1 .. 6) {
        put($t, 'orders', 30);
        rotate($name);
        push @keys, public_keys($name);
        $t->ctl_ok('endpoint', 'pause', $name) if $round % 2;
        $t->ctl_ok('endpoint', 'resume', $name) if $round % 2;
        $t->ctl_ok('endpoint', 'replay', $name, 'orders', '--from=oldest')
            if $round == 4;
    }
    $t->ctl_ok('endpoint', 'remove', $gone);
    my $all = () = stored($t, 'orders');
    ok(wait_for(sub {
        sleep 0.3;
        my %seen = map { $_ => 1 } ids(came('changes'));
        return keys %seen == $all;
    }, 60), 'all of it comes');
    is_deeply([unsigned([came('changes')], @keys)], [],
        'signed by one of the pairs');
    is_deeply([grep { $_->{class} ne 'ok' } attempts($t, $name)], [],
        'and nothing failed');
    $t->ctl_ok('endpoint', 'remove', $name);
    is($t->stop_dispatcher, 0, 'the dispatcher stops');
}

###############################################################################
# a stop in the midst of it

{
    my $name = endpoint('stops', ordering => 'none', in_flight => 64);
    my $all = () = stored($t, 'orders');
    for (1 .. 5) {
        my $before = $recv->count;
        $t->run_dispatcher;
        wait_for(sub { $recv->count > $before });
        is($t->stop_dispatcher, 0, 'the dispatcher stops');
    }
    $t->run_dispatcher;
    ok(wait_for(sub { sleep 0.3; came('stops') >= $all }, 60),
        'the rest comes');
    is_deeply([sort { $a <=> $b } sequences(came('stops'))], [1 .. $all],
        'each event once');
    is($t->stop_dispatcher, 0, 'the dispatcher stops');
}

ok($t->verify, 'the store is sound');
done_testing();
