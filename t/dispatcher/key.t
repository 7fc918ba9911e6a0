#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# The key mode: order per subject, subjects side by side.

use warnings;
use strict;

use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Webhooks;

my $t = webhook_store();
my $name;                       # of the endpoint

# "a" fails for as long as this file is there, "b" once for each event.
my $stuck = $t->testdir . '/stuck';
my $hung = $t->testdir . '/hung';
$t->write_file('stuck', '');
my $recv = $t->receiver(sub {
    my ($request) = @_;
    my $subject = subject($request);

    return { hang => 1 } if -e $hung && $subject eq 'a';
    return { status => 503, delay => 0.002 } if
        $subject eq 'a' ? -e $stuck
        : $subject eq 'b' && $request->{headers}{'eventsync-attempt'} == 1;
    return { status => 200, delay => 0.002 };
});
sub subject { $_[0]{body} =~ /"subject":"(\w)"/ ? $1 : '' }

# Subjects in turn, and every fifth event without one.
sub events {
    my ($first, $last) = @_;
    my @subjects = ('a' .. 'd');
    my @lines = map {
        my $subject = $_ % 5 ? qq(,"subject":"$subjects[$_ % 5 - 1]") : '';
        qq({"specversion":"1.0","id":"k-$_","source":"/t","type":"t"$subject})
    } $first .. $last;
    $t->ctl_ok({ stdin => join "\n", @lines, '' }, 'publish', 'orders');
}

# The subject of an attempt, by its sequence.
sub of {
    my ($subject, @attempts) = @_;
    my $n = ord($subject) - ord('a') + 1;
    return grep { $_->{sequence} % 5 == $n } @attempts;
}
sub numbers { map { $_->{sequence} } @_ }

# Those that were answered with 200, by the attempts on record.
sub taken {
    return grep { $_->{status} == 200 } attempts($t, $name);
}
sub open_a { grep { subject($_) eq 'a'
    && $_->{headers}{'webhook-id'} =~ /^k-3[56]/ } $recv->requests }
sub last_taken { grep { $_->{sequence} > 350 && $_->{sequence} % 5 != 2 }
    taken() }
sub held { $t->ctl_ok('endpoint', 'status', $name) =~ / held / }

events(1, 200);
$name = scalar $t->endpoint('acme', url => $recv->url('/key'),
    feeds => 'orders', start => 'oldest', ordering => 'key', in_flight => 8,
    schedule => '0,10ms,10ms,1h,1h');
$t->run_dispatcher;

ok(wait_for(sub { taken() == 160 }, 60), 'a stuck subject holds nobody else');
for my $subject ('b' .. 'd') {
    my @n = numbers(of($subject, taken()));
    is_deeply(\@n, [sort { $a <=> $b } @n], "in order: $subject");
    is(scalar @n, 40, 'and whole');
}
my @first = numbers(of('a', attempts($t, $name)));
is_deeply([grep { $_ != 1 } @first], [], 'none passes the first of its own');
ok(wait_for(sub { held() }), 'the others are held');
like($t->ctl_ok('endpoint', 'status', $name), qr/retry sequence=1 attempts=3/,
    'while it waits to be tried again');

is($t->stop_dispatcher, 0, 'stop');
$t->run_dispatcher;
events(201, 250);
ok(wait_for(sub { taken() == 200 }, 60), 'what is held stays so');
is(scalar(of('a', taken())), 0, 'after a restart');

unlink $stuck;
$t->ctl_ok('endpoint', 'change', $name, '--schedule=0,10ms');
ok(wait_for(sub { taken() == 250 }, 60), 'until it succeeds');
is_deeply([numbers(of('a', taken()))],
    [map { $_ * 5 + 1 } 0 .. 49], 'then the others follow in order');
ok(wait_for(sub { !held() && retries($t, $name) == 0 }),
    'and nothing is left');

# A dead letter lets the next one go.
$t->write_file('stuck', '');
events(251, 300);
ok(wait_for(sub { dead($t, $name) == 10 }, 60), 'dead letters');
is_deeply([map { $_->{sequence} } dead($t, $name)],
    [map { $_ * 5 + 1 } 50 .. 59], 'one after the other');
ok(wait_for(sub { taken() == 290 }, 60), 'hold nobody');

# Change of mode.
$t->write_file('stuck', '');
$t->ctl_ok('endpoint', 'change', $name, '--schedule=0,10ms,1h');
events(301, 350);
ok(wait_for(sub { held() && taken() == 330 }, 60), 'held again');
unlink $stuck;
$t->ctl_ok('endpoint', 'change', $name, '--ordering=none');
ok(wait_for(sub { taken() == 340 }, 60), 'until there is no order to keep');
ok(wait_for(sub { retries($t, $name) == 0 }), 'nothing is left');

# What was in flight beside each other before an order was asked for.
$t->ctl_ok('endpoint', 'change', $name, '--schedule=0,1h');
$t->write_file('hung', '');
events(351, 370);
ok(wait_for(sub { open_a() >= 2 }), 'two of a subject in flight');
$t->stop_dispatcher('KILL');
$t->write_file('stuck', '');
unlink $hung;
$t->ctl_ok('endpoint', 'change', $name, '--ordering=key');
$t->run_dispatcher;
ok(wait_for(sub { last_taken() == 12 }), 'wait for each other');
events(371, 375);
ok(wait_for(sub { last_taken() == 15 }), 'and no other waits for them');
is($t->stop_dispatcher, 0, 'the dispatcher stops cleanly');

done_testing();
