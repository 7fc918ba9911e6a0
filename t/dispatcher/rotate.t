#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Secrets are rotated while deliveries are under way: each delivery can be
# verified by who has the old secret and by who has the new one already, and
# none is refused, lost or sent twice because of it.

use warnings;
use strict;

use MIME::Base64 qw(encode_base64);
use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Webhooks;

my $ROUNDS = 6;
my $EVENTS = 120;     # a round: more than are sent before the rotation

my $t = webhook_store();
$t->write_file('keys', encode_base64('k' x 32));
chmod 0600, $t->testdir . '/keys';
my @keys = ('--key-file', $t->testdir . '/keys');

# Slow enough for a rotation to find events that are still to be sent.
my $recv = $t->receiver(sub { return { delay => 0.005 } });

# Of each ordering, an endpoint, and all secrets that it ever had.
my %secrets;
my %name;
for my $ordering (qw(fifo none)) {
    my ($name, $secret) = $t->endpoint('acme', url => $recv->url("/$ordering"),
        feeds => 'orders', ordering => $ordering, in_flight => 8,
        key_file => $keys[1]);
    $name{$ordering} = $name;
    $secrets{$ordering} = [$secret];
}
$t->run_dispatcher(@keys);

# The requests of an endpoint so far, each with the numbers of the secrets that
# verify it.  The log is read on from where it was read before.
my %seen = (fifo => [], none => []);
my ($log, @fresh);
sub look {
    my ($ordering) = @_;
    open $log, '<:raw', $recv->{log} or die if !$log;
    seek $log, 0, 1;
    while (my $line = <$log>) {
        if ($line !~ /\n\z/) {
            seek $log, -length $line, 1;
            last;
        }
        push @fresh, Test::Eventsync::json($line);
    }
    for my $request (grep { $_->{path} eq "/$ordering" } @fresh) {
        push @{ $seen{$ordering} }, { sequence => (sequences($request))[0],
            tokens => scalar(split / /,
                $request->{headers}{'webhook-signature'}),
            by => [grep { signature_ok($request, $secrets{$ordering}[$_]) }
                0 .. $#{ $secrets{$ordering} }] };
    }
    @fresh = grep { $_->{path} ne "/$ordering" } @fresh;
    return $seen{$ordering};
}

my $busy = 0;
for my $round (1 .. $ROUNDS) {
    put($t, 'orders', $EVENTS);
    for my $ordering (qw(fifo none)) {
        my $mine = $secrets{$ordering};
        my $before = $recv->count;
        chomp(my $new = $t->ctl_ok('endpoint', 'rotate', $name{$ordering},
            '--overlap=1h', @keys));
        push @$mine, $new;
        $busy++ if $before < 2 * $round * $EVENTS;
        # Should it have been faster than the rotation, here is one more.
        put($t, 'orders', 1);
        ok(wait_for(sub {
            grep { join(' ', @{ $_->{by} }) =~ /\b@{[ $#$mine - 1 ]} $#$mine$/ }
                @{ look($ordering) };
        }, 40), "$ordering: old and new sign after rotation $round");
    }

    # There is room for four: those before the newest go.
    if ($round % 3 == 0) {
        $t->ctl_ok('endpoint', 'change', $name{$_},
            "--secret=$secrets{$_}[-1]", @keys) for qw(fifo none);
    }
}
cmp_ok($busy, '>', $ROUNDS, 'most rotations met deliveries under way');

my $total = $ROUNDS * ($EVENTS + 2);
ok($recv->wait_for(2 * $total, 40), 'everything is sent');
for my $ordering (qw(fifo none)) {
    my @seen = @{ look($ordering) };
    is_deeply([sort { $a <=> $b } map { $_->{sequence} } @seen],
        [1 .. $total], "$ordering: each event once");
    is(scalar(grep { !@{ $_->{by} } } @seen), 0, '... all are verified');
    is(scalar(grep { $_->{tokens} != @{ $_->{by} } } @seen), 0,
        '... and nothing else has signed');
    is(scalar(grep { @{ $_->{by} } != $_->{by}[-1] - $_->{by}[0] + 1 } @seen),
        0, '... by secrets that follow one another');
    is(scalar(grep { $_->{status} ne '200' } attempts($t, $name{$ordering})),
        0, '... at the first attempt');
}

my @fifo = @{ look('fifo') };
is(scalar(grep {
    $fifo[$_]{by}[0] < $fifo[$_ - 1]{by}[0]
        || $fifo[$_]{by}[-1] < $fifo[$_ - 1]{by}[-1]
} 1 .. $#fifo), 0, 'fifo: no old secret comes back');

$t->finish;
done_testing();
