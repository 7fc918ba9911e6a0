#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Trace context in webhooks: from the attributes of an event, checked, with a
# span of its own for each attempt.

use warnings;
use strict;

use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Webhooks;

my $t = webhook_store();
$t->feed('many');
my $recv = $t->receiver(sub {
    $_[0]{headers}{'eventsync-attempt'} < 3 && $_[0]{path} eq '/one' ? 500 : 200
});
my $id = '0af7651916cd43dd8448eb211c80319c';
my $span = 'b7ad6b7169203331';

sub came { my ($path) = @_; grep { $_->{path} eq $path } $recv->requests }
sub trace_of { my ($r) = @_;
    return join ' ', map { $r->{headers}{$_} // '-' } qw(traceparent tracestate) }
sub with { my ($parent, $state) = @_;
    return { traceparent => $parent, defined $state ? (tracestate => $state) : () } }

###############################################################################
# one event for each request

my @attributes = (
    [with("00-$id-$span-01", 'a=1, ,b="x\\y'), '01 a=1,b="x\\y'],
    [with("00-$id-$span-00"), '00 -'],
    [with("00-$id-$span-03", 'a=1,a=2'), '03 -'],
    [with("cc-$id-$span-07-more"), '01 -'],
    [{ tracestate => 'a=1' }],
    map { [with($_, 'a=1')] } 'not one', "00-$id-$span-01 x", "ff-$id-$span-01",
        "00-$id-0000000000000000-01", '00-' . '0' x 32 . "-$span-01", 17,
        uc "00-$id-$span-01", "00-$id-$span-01-",
);
my ($one) = $t->endpoint('acme', url => $recv->url('/one'), feeds => 'orders',
    start => 'oldest', schedule => '0,10ms,10ms');
put($t, 'orders', map { $_->[0] } @attributes);
$t->run_dispatcher;
ok(wait_for(sub { came('/one') == 3 * @attributes }), 'three attempts of each');
my @got = came('/one');

for my $i (0 .. $#attributes) {
    my ($attribute, $expected) = @{ $attributes[$i] };
    my @three = splice @got, 0, 3;
    my $name = join ' ', map { $_ // '-' } @{$attribute}{qw(traceparent tracestate)};

    if (!defined $expected) {
        is_deeply([map { trace_of($_) } @three], [('- -') x 3], "nothing of: $name");
        next;
    }
    my %seen = ($span => 1);
    for (@three) {
        my ($its, $rest) = trace_of($_) =~ /^00-$id-(\w{16})-(.*)$/;
        is($rest, $expected, "sent on: $name");
        ok(!$seen{ $its // $span }++, '... with a span of its own');
    }
}

###############################################################################
# a request of many events

my $batch = $t->endpoint('acme', url => $recv->url('/batch'), feeds => 'many',
    start => 'oldest', batch => 3);
my @ids = map { sprintf '%032x', $_ } 1 .. 4;
put($t, 'many', {}, with("00-$ids[0]-$span-00", 'a=1'),
    with("00-$ids[1]-$span-01", 'b=1'), with("00-$ids[2]-$span-01"), {},
    {}, {}, with("00-$ids[3]-$span-00"), {});
ok(wait_for(sub { came('/batch') == 3 }), 'three batches');
is_deeply([map { trace_of($_) =~ s/-\w{16}-/-SPAN-/r } came('/batch')],
    ["00-$ids[1]-SPAN-01 b=1", "00-$ids[2]-SPAN-01 -", "00-$ids[3]-SPAN-00 -"],
    'they continue the first trace that is sampled, or else the first');

done_testing();
