#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# A partner that knows only what docs/http-read.md says under "The rule for a
# partner": whatever is lost, repeated, reordered or reset, it has every event
# once, and needs no more polls than there are gaps.

use warnings;
use strict;

use JSON::PP;
use List::Util qw(max);
use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);

###############################################################################
# the partner

package Partner;

# `poll` is a sub of a query: { after => CURSOR } or { from => ... }; it returns
# (status, decoded body).
sub new { my ($class, %self) = @_;
    return bless { cursor => undef, sequence => '', taken => [], polls => 0,
        %self }, $class }

sub epoch { ($_[0] // '') =~ /^(.*)-/ ? $1 : '' }

sub take {
    my ($self, $event) = @_;
    push @{ $self->{taken} }, $event;
    @$self{qw(cursor sequence)} = @$event{qw(cursor sequence)};
}

# Returns the status to answer a webhook with.
sub webhook {
    my ($self, $event) = @_;

    if (defined $self->{cursor} && $event->{prevcursor} eq $self->{cursor}) {
        $self->take($event);
        return 204;
    }
    if (epoch($event->{cursor}) eq epoch($self->{cursor})
        && $event->{sequence} le $self->{sequence})
    {
        return 204;
    }
    return $self->catch_up ? 204 : 503;
}

sub catch_up {
    my ($self) = @_;

    while (1) {
        $self->{polls}++;
        my ($status, $page) = $self->{poll}->(defined $self->{cursor}
            ? { after => $self->{cursor} } : { from => 'oldest' });
        if ($status == 410) {
            @$self{qw(cursor sequence)} = ($page->{oldest}, '');
            push @{ $self->{lost} }, $page->{missed};
            next;
        }
        return 0 if $status != 200;
        $self->take($_) for @{ $page->{events} };
        $self->{cursor} = $page->{next} if !@{ $page->{events} };
        return 1 if !$page->{has_more};
    }
}

# What it keeps on its disk.
sub state { my ($self) = @_;
    return { map { $_ => $self->{$_} } qw(cursor sequence) } }

package main;

###############################################################################
# twenty thousand events, of which 30 % of the webhooks are lost

# A feed that is published to as webhooks are sent: those before `head` are in
# the log.  With `every`, only each n-th event is what the partner is sent.
package Feed;

sub new { my ($class, %self) = @_; return bless { head => 0, every => 1, %self },
    $class }

sub event {
    my ($self, $n, $prev) = @_;
    return { cursor => "e-$n", prevcursor => "e-$prev",
        sequence => sprintf('%020d', $n) };
}

# As a webhook has it.
sub sent { my ($self, $n) = @_; return $self->event($n, $n - $self->{every}) }

sub poll {
    my ($self, $query) = @_;
    my ($after) = ($query->{after} // 'e-0') =~ /-(\d+)/;
    my ($every, $held, @events) = ($self->{every}, $after);

    for (my $n = $after + $every - $after % $every; $n <= $self->{head}
        && @events < 100; $n += $every)
    {
        push @events, $self->event($n, $held);
        $held = $n;
    }
    my $full = @events == 100;
    return (200, { events => \@events, has_more => $full,
        next => $full ? $held : 'e-' . main::max($self->{head}, $after) });
}

package main;

# Draws that are the same each time.
my $seed = 12;
sub draw { my ($n) = @_; $seed = ($seed * 1103515245 + 12345) % 2**31;
    return int($seed / 65536) % $n }

sub simulate {
    my ($name, %how) = @_;
    my $feed = Feed->new(every => $how{every} // 1);
    my $partner = Partner->new(poll => sub { $feed->poll(@_) }, cursor => 'e-0');
    my $total = 20_000 * $feed->{every};
    my ($gaps, $lost, @webhooks) = (0, 0);

    for (my $n = $feed->{every}; $n <= $total; $n += $feed->{every}) {
        push @webhooks, [$n, draw(100) < 30];
    }
    # Some come later than those behind them, and some twice.
    if ($how{reorder}) {
        for my $i (0 .. $#webhooks - 1) {
            @webhooks[$i, $i + 1] = @webhooks[$i + 1, $i] if draw(10) == 0;
        }
        splice @webhooks, $_ * 10, 0, $webhooks[$_ * 10 - 1] for 1 .. 1000;
    }

    for my $webhook (@webhooks) {
        my ($n, $is_lost) = @$webhook;
        $feed->{head} = max($feed->{head}, $n + draw(20));
        $feed->{head} = $total if $feed->{head} > $total;
        if ($is_lost) { $lost++; next }
        my $held = $partner->{sequence} || 0;
        $gaps++ if $n - $feed->{every} > $held;
        $partner->webhook($feed->sent($n));
    }
    $partner->catch_up if $partner->{sequence} < $total;    # now and then
    $gaps++;

    cmp_ok($lost, '>', 5500, "$name: $lost webhooks are lost");
    is(scalar @{ $partner->{taken} }, 20_000, "$name: it has every event");
    is(scalar(grep { $partner->{taken}[$_]{sequence}
        != ($_ + 1) * $feed->{every} } 0 .. 19_999), 0,
        "$name: once, and in order");
    cmp_ok($partner->{polls}, '<=', $gaps,
        "$name: it polls no more often than there are gaps ($gaps)");
    return $partner->{polls};
}

simulate('in order');
simulate('out of order and twice', reorder => 1);
simulate('with a filter', every => 7);

###############################################################################
# the same against what is real

my $t = Test::Eventsync->new;
$t->store_init->feed('orders')->feed('reset');
my $key = $t->partner_key('acme', feeds => '*', publish => '*');
$t->default_conf;
$t->run_nginx;
$t->run_dispatcher;

# Polls of a feed, as the partner makes them.
sub poller {
    my ($feed) = @_;
    return sub {
        my ($query) = @_;
        my $answer = $t->http(GET => "/v1/feeds/$feed/events?"
            . join('&', map { "$_=$query->{$_}" } %$query ? keys %$query : ()),
            { authorization => "Bearer $key" });
        return ($answer->{status}, decode_json($answer->{body}));
    };
}

# A receiver with a partner in it, which writes what it knows to a file.
sub receive {
    my ($feed, $partner, $lost) = @_;
    my $file = $t->testdir . "/partner-$feed";
    my $gap = 0;

    return $t->receiver(sub {
        my ($request) = @_;
        my $event = decode_json($request->{body});
        if ($lost->($event)) { $gap = 1; return 200 }
        $partner->{gaps} += $gap;
        $gap = 0;
        my $status = $partner->webhook($event);
        open my $fh, '>', "$file.new" or die;
        print $fh encode_json({ %{ $partner->state }, status => $status,
            taken => [map { $_->{id} } @{ $partner->{taken} }],
            map { $_ => $partner->{$_} } qw(polls gaps lost) });
        close $fh;
        rename "$file.new", $file;
        return $status;
    });
}
sub knows { my ($feed) = @_;
    return decode_json($t->read_file("partner-$feed") || '{}') }

my $recv = receive('orders', Partner->new(poll => poller('orders'), gaps => 0),
    sub { $_[0]{sequence} % 10 < 3 && $_[0]{sequence} != 600 });
$t->endpoint('acme', url => $recv->url, feeds => 'orders', start => 'oldest',
    ordering => 'fifo');
for my $n (0 .. 59) {
    $t->publish('orders', map { { id => "" . ($n * 10 + $_) } } 1 .. 10);
}
ok(wait_for(sub { (knows('orders')->{sequence} // 0) >= 599
    && $recv->requests >= 600 }, 30), 'six hundred webhooks, 30 % of them lost');
my $is = knows('orders');
is_deeply($is->{taken}, [map { "$_" } 1 .. 600],
    'the partner has every event once, in order');
cmp_ok($is->{polls}, '<=', $is->{gaps} + 1,
    "with no more polls than gaps ($is->{polls} for $is->{gaps})");

###############################################################################
# a reset under a partner that holds 10,000

$t->ctl_ok({ stdin => join '', map { $t->event(id => "old$_") . "\n" }
    1 .. 10_000 }, 'publish', 'reset');
my $latest = $t->poll('reset', key => $key, from => 'latest')->{next};
my %holds = (cursor => $latest, sequence => sprintf '%020d', 10_000);
like($latest, qr/-10000$/, 'a partner that holds 10,000');

my $by_webhook = receive('reset', Partner->new(poll => poller('reset'), %holds,
    gaps => 0), sub { 0 });
my $by_poll = Partner->new(poll => poller('reset'), %holds);
my $port = $t->port(1);
my $state = $t->write_file('held', "reset $latest\n");
my (undef, $secret) = my @listen = $t->endpoint('acme',
    url => "http://127.0.0.1:$port/", feeds => 'reset');
my $listen = $t->ctl_start('listen', "--port=$port", "--secret=$secret",
    "--log=" . $t->testdir . '/log',
    '--poll=http://127.0.0.1:' . $t->port(0) . '/v1', "--key=$key");
ok(wait_for(sub { Test::Eventsync::port_open($port) }), 'listen, too');
$t->endpoint('acme', url => $by_webhook->url, feeds => 'reset');
ok(wait_for(sub { $t->ctl_ok('endpoint', 'status') =~ /reset/ }),
    'their endpoints have nothing before them');

# So that listen's log holds 10,000.
$t->publish('reset', { id => 'last' });
ok(wait_for(sub { $t->read_file('log') =~ /-10001"/ }, 20),
    'one more event for all of them');
$listen->stop('TERM');
ok(wait_for(sub { (knows('reset')->{sequence} // 0) == 10_001 }),
    'which the partner takes by webhook');
$by_poll->catch_up;

$t->ctl_ok('feed', 'reset', 'reset');
$listen = $t->ctl_start('listen', "--port=$port", "--secret=$secret",
    "--log=" . $t->testdir . '/log', '--poll-every=0',
    '--poll=http://127.0.0.1:' . $t->port(0) . '/v1', "--key=$key");
ok(wait_for(sub { Test::Eventsync::port_open($port) }), 'listen again');
$t->publish('reset', map { { id => "new$_" } } 1 .. 5);
my @new = map { "new$_" } 1 .. 5;

ok(wait_for(sub { grep { $_ eq 'new5' }
    @{ knows('reset')->{taken} // [] } }, 20), 'five events after a reset');
is_deeply(knows('reset')->{taken}, ['last', @new],
    'all five reach the partner by webhook');
is_deeply(knows('reset')->{lost}, [undef], 'which was told of the reset');
$by_poll->catch_up;
is_deeply([map { $_->{id} } @{ $by_poll->{taken} }], ['last', @new],
    'and the one that polls');
ok(wait_for(sub { () = $t->read_file('log') =~ /-5","prev/ }, 20), 'and listen');
my ($epoch) = $t->poll('reset', key => $key, from => 'latest')->{next}
    =~ /^(.*)-/;
is_deeply([$t->read_file('log') =~ /"cursor":"\Q$epoch\E-(\d+)"/g], [1 .. 5],
    'which has each of the five once');
ok(wait_for(sub { $listen->stdout =~ /^(?:lost|reset) +reset /m }),
    'and says that the feed was reset');
$listen->stop('TERM');
like($listen->stdout, qr/^report    reset processed=5 /m, 'and reports them');

# A webhook of the epoch before, which comes late.
my $late = { %{ $by_poll->{taken}[0] } };
my $polls = $by_poll->{polls};
is($by_poll->webhook($late), 204, 'a late webhook of the old epoch is answered');
is(scalar @{ $by_poll->{taken} }, 6, 'it is not taken');
is($by_poll->{polls}, $polls + 1, 'and costs one poll');

###############################################################################
# the loss of the last webhook, and what a limit does

$t->ctl_ok('partner', 'change', 'acme', '--limit-poll=6r/m,burst=1');
ok(wait_for(sub { $t->http(GET => '/v1/feeds/orders/events?from=latest',
    { authorization => "Bearer $key" })->{status} == 429 }), 'over its limit');
my $limited = Partner->new(poll => poller('orders'), cursor => 'x-1');
is($limited->webhook($by_poll->{taken}[5]), 503,
    'a partner that may not poll now has the webhook sent again');
is(scalar @{ $limited->{taken} }, 0, 'and has taken nothing');
$t->ctl_ok('partner', 'change', 'acme', '--limit-poll=');

is($t->stop_dispatcher, 0, 'the dispatcher ends cleanly');

done_testing();
