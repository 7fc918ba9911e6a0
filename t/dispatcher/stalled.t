#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Events that a receiver rejects do not stop those that it would take: not by
# their number, not those of another subject or feed, not by the rate.

use warnings;
use strict;

use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Webhooks;

my $t = webhook_store();
$t->feed('other');

# Whatever is of the type "bad" is rejected, or gets the status in the path.
my $recv = $t->receiver(sub {
    my ($request) = @_;
    my ($status) = $request->{path} =~ m{/(\d+)$};

    return { status => $request->{body} =~ /"type":"bad"/ ? $status // 400
        : 200 };
});

sub endpoint {
    my ($path, %opts) = @_;
    return scalar $t->endpoint('acme', url => $recv->url($path),
        feeds => 'orders', start => 'oldest', schedule => '0,1h,1h', %opts);
}
sub came { my ($path) = @_; grep { $_->{path} eq $path } $recv->requests }
sub good { grep { $_->{body} =~ /"type":"good"/ } came($_[0]) }
sub bad { grep { $_->{body} =~ /"type":"bad"/ } came($_[0]) }
sub behind { ($t->ctl_ok('endpoint', 'status', $_[0])
    =~ /feed=$_[1] .* behind=(\d+)/)[0] }

# Events of these types and subjects, as many as each says.
sub fill {
    my ($feed, @kinds) = @_;
    put($t, $feed, map { my $kind = $_; map { { %{ $kind->[1] } } }
        1 .. $kind->[0] } @kinds);
}

###############################################################################
# by their number

my $none = endpoint('/none', ordering => 'none');
fill('orders', [1100, { type => 'bad' }], [50, { type => 'good' }]);
$t->run_dispatcher;

ok(wait_for(sub { good('/none') == 50 }, 60),
    '1100 rejected events do not stop 50 others');
is(scalar bad('/none'), 1100, 'each of them was tried once');
is($t->stop_dispatcher('KILL'), 137, 'the dispatcher is killed');

fill('orders', [20, { type => 'good' }]);
$t->run_dispatcher;
ok(wait_for(sub { good('/none') >= 70 }, 30),
    'nor those that come after it is started again');
is(scalar bad('/none'), 1100, 'and no rejected one is sent before its time');
$t->ctl_ok('endpoint', 'change', $none, '--types=bad', '--schedule=0,1ms');
ok(wait_for(sub { dead($t, $none) == 1100 }, 60),
    'all that wait are tried again when the endpoint is changed');
$t->ctl_ok('endpoint', 'remove', $none);

###############################################################################
# of one subject

my $key = endpoint('/key', ordering => 'key', start => 'latest');
ok(wait_for(sub { defined behind($key, 'orders') }), 'an endpoint by subject');
fill('orders', [1, { type => 'bad', subject => 'A' }],
    [1200, { type => 'good', subject => 'A' }],
    [5, { type => 'good', subject => 'B' }]);
ok(wait_for(sub { good('/key') == 5 }, 30),
    '1200 events that one holds do not stop those of another subject');
is(scalar bad('/key'), 1, 'though it is tried only once');
is($t->stop_dispatcher('KILL'), 137, 'the dispatcher is killed');

fill('orders', [5, { type => 'good', subject => 'B' }],
    [5, { type => 'good', subject => 'A' }]);
$t->run_dispatcher;
ok(wait_for(sub { good('/key') == 10 && behind($key, 'orders') == 0 }, 30),
    'nor after it is started again');
$t->ctl_ok('endpoint', 'change', $key, '--schedule=0,1ms');
ok(wait_for(sub { good('/key') == 1215 }, 60),
    'what was held goes on when the one that held it is dead');
my @held = sequences(grep { $_->{body} =~ /"subject":"A"/ } good('/key'));
is_deeply(\@held, [sort { $a <=> $b } @held], 'in order');
$t->ctl_ok('endpoint', 'remove', $key);

###############################################################################
# of one feed

my $two = endpoint('/two', ordering => 'none', feeds => 'orders,other',
    start => 'latest');
ok(wait_for(sub { defined behind($two, 'other') }), 'an endpoint of two feeds');
fill('orders', [1100, { type => 'bad' }]);
ok(wait_for(sub { bad('/two') == 1100 }, 60), 'one of which it rejects');
fill('other', [20, { type => 'good' }]);
ok(wait_for(sub { good('/two') == 20 }, 20), 'is sent the other');
$t->ctl_ok('endpoint', 'remove', $two);

###############################################################################
# by the rate

my $rate = endpoint('/rate', ordering => 'none', start => 'latest',
    rate => '50r/s', schedule => join ',', '0', ('20ms') x 31);
ok(wait_for(sub { defined behind($rate, 'orders') }), 'an endpoint with a rate');
fill('orders', [20, { type => 'bad' }], [20, { type => 'good' }]);
ok(wait_for(sub { good('/rate') == 20 }, 30),
    'retries leave every other attempt to new events');
my @all = came('/rate');
pop @all while $all[-1]{body} !~ /"type":"good"/;
is((grep { $_->{headers}{'eventsync-attempt'} == 32 } @all)[0], undef,
    'before any of them has had its last attempt');
$t->ctl_ok('endpoint', 'remove', $rate);

is($t->stop_dispatcher, 0, 'the dispatcher stops cleanly');

done_testing();
