#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Header fields of an answer that have a meaning: in which forms they count, and
# that only those of the final answer's header do.

use warnings;
use strict;

use POSIX qw(strftime);
use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Webhooks;

# A date in one of the three forms of RFC 9110, section 5.6.7.
sub date {
    my ($form, $from_now) = @_;
    return strftime($form, gmtime time + $from_now);
}

my @dates = ('%a, %d %b %Y %H:%M:%S GMT', '%A, %d-%b-%y %H:%M:%S GMT',
    '%a %b %e %H:%M:%S %Y');

# The answer, and what comes of the event: it waits without a step of its
# schedule, "retries" with one, or is dead.
my %cases = (
    'seconds' => [ 503, 'waits an hour', 'Retry-After: 3600' ],
    'blanks' => [ 503, 'waits an hour', "RETRY-after:\t 3600 \t" ],
    'zeros' => [ 503, 'waits an hour', 'Retry-After: ' . '0' x 200 . '3600' ],
    'huge' => [ 503, 'waits a day', 'Retry-After: ' . '9' x 200 ],
    'zero' => [ 503, 'waits', 'Retry-After: 0' ],
    (map { ("date $_" => [ 503, 'waits an hour',
        'Retry-After: ' . date($dates[$_], 3600) ]) } 0 .. 2),
    (map { ("past $_" => [ 503, 'waits',
        'Retry-After: ' . date($dates[$_], -3600) ]) } 0 .. 2),
    'far' => [ 503, 'waits a day',
        'Retry-After: ' . date($dates[0], 100 * 86400) ],
    'folded' => [ 503, 'waits an hour', "Retry-After:\r\n 3600" ],
    'folded date' => [ 503, 'waits an hour', 'Retry-After: '
        . date($dates[0], 3600) =~ s/, /,\r\n\t/r ],
    'no value' => [ 503, 'dead', 'Retry-After:' ],
    'two values' => [ 503, 'dead', 'Retry-After: 1, 3600' ],
    'fraction' => [ 503, 'dead', 'Retry-After: 1.5' ],
    'negative' => [ 503, 'dead', 'Retry-After: -1' ],
    'words' => [ 503, 'dead', 'Retry-After: in an hour' ],
    '429' => [ 429, 'waits an hour', 'Retry-After: 3600' ],
    '429 no value' => [ 429, 'waits', 'Retry-After: soon' ],

    # other statuses say nothing of load
    (map { ($_ => [ $_, 'dead', 'Retry-After: 3600' ]) }
        301, 400, 408, 409, 413, 421, 425, 500, 502, 504, 599),
    '200' => [ 200, 'delivered', 'Retry-After: 3600' ],
    '202' => [ 202, 'delivered', 'Retry-After: 3600' ],

    'abort' => [ 500, 'dead', 'Webhook-Delivery: abort', '0,1h' ],
    'abort folded' => [ 500, 'dead', "webhook-delivery:\r\n\tAbort", '0,1h' ],
    'abort 429' => [ 429, 'dead', 'Webhook-Delivery: abort', '0,1h' ],
    'abort second' => [ 500, 'dead',
        "Webhook-Delivery: x\r\nWebhook-Delivery: abort", '0,1h' ],
    'disable' => [ 500, 'stopped', 'Webhook-Delivery: disable' ],
    'disable 200' => [ 200, 'delivered stopped', 'Webhook-Delivery: disable' ],

    # not of the final answer's header
    'early 503' => [ 503, 'dead', undef, '0', early('Retry-After: 3600') ],
    'early disable' => [ 500, 'dead', undef, '0',
        early('Webhook-Delivery: disable') ],
    'early disable 200' => [ 200, 'delivered', undef, '0',
        early('Webhook-Delivery: disable') ],
    'early abort' => [ 500, 'retries', undef, '0,1h',
        early('Webhook-Delivery: abort') ],
    'trailer' => [ 503, 'dead', undef, '0', '', 'Retry-After: 3600' ],
    'trailer disable' => [ 500, 'dead', undef, '0', '',
        'Webhook-Delivery: disable' ],
    'trailer disable 200' => [ 200, 'delivered', undef, '0', '',
        'Webhook-Delivery: disable' ],
    'trailer abort' => [ 500, 'retries', undef, '0,1h', '',
        'Webhook-Delivery: abort' ],
);

sub early { return "HTTP/1.1 103 Early Hints\r\n$_[0]\r\n\r\n" }

sub answer {
    my ($status, undef, $field, undef, $before, $trailer) = @{ $_[0] };
    return ($before // '') . "HTTP/1.1 $status Said\r\n"
        . (defined $field ? "$field\r\n" : '')
        . (defined $trailer ? "Transfer-Encoding: chunked\r\n\r\n"
            . "2\r\nab\r\n0\r\n$trailer\r\n\r\n" : "Content-Length: 0\r\n\r\n");
}

my $t = webhook_store();
my @order = sort keys %cases;
my %raw = map { ("/$_" => answer($cases{ $order[$_] })) } 0 .. $#order;
my $recv = $t->receiver(sub { return { raw => $raw{ $_[0]{path} } } });
my %names = map {
    my ($path, $case) = ("/$_", $cases{ $order[$_] });
    ($order[$_] => scalar $t->endpoint('acme', url => $recv->url($path),
        feeds => 'orders', start => 'oldest', schedule => $case->[3] // '0'))
} 0 .. $#order;
put($t, 'orders', 1);
$t->run_dispatcher;

my %attempts;
ok(wait_for(sub {
    %attempts = map { ((split)[1] => $_) }
        split /\n/, $t->ctl_ok('endpoint', 'attempts');
    keys %attempts == @order;
}, 60), 'all have answered');

# What has come of the event, by the lines of all endpoints.
sub outcome {
    my ($case, $dead, $status, $time_ms) = @_;
    my $name = $names{$case};
    my @lines = grep { /^\Q$name\E / } @$status;
    my ($class) = $attempts{$name} =~ /class=(\S+)/;
    my ($delivered) = grep { $class eq $_ } 'ok';
    my ($stopped) = grep { / stopped: / } @lines;
    my ($left, $next) = map { /retry .*attempts=(\d+) .*next=(\S+)/ } @lines;

    return 'dead' if grep { (split)[1] eq $name } @$dead;
    return $stopped ? 'delivered stopped' : 'delivered' if $delivered;
    return 'stopped' if $stopped;
    return 'neither' if !defined $next;
    return 'retries' if $left;
    my $waits = (time_ms($next) - $time_ms) / 1000;
    return $waits > 80000 ? 'waits a day' : $waits > 3000 ? 'waits an hour'
        : 'waits';
}

my (%got, %lines);
wait_for(sub {
    my $now_ms = time * 1000;
    my ($dead, $status) = map { [ split /\n/, $t->ctl_ok('endpoint', $_) ] }
        qw(dead status);
    %got = map { ($_ => outcome($_, $dead, $status, $now_ms)) } @order;
    for my $case (@order) {
        $lines{$case} = join "\n", grep { /^\Q$names{$case}\E / } @$status;
    }
    return !grep { $got{$_} ne $cases{$_}[1] } @order;
}, 10);
is($got{$_}, $cases{$_}[1], "$_: $cases{$_}[1]") or diag($lines{$_})
    for @order;
is($t->stop_dispatcher, 0, 'the dispatcher stops cleanly');

done_testing();
