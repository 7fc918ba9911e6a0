#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# A damaged record of packed history: a request that needs it gets an error and
# a log line, no request gets other bytes, and verify names the place.  A plain
# page that is damaged is not packed, which the command and the dispatcher say.

use warnings;
use strict;

use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);

use constant { EVENTS => 850, MAGIC => "\x28\xb5\x2f\xfd" };

my $t = Test::Eventsync->new;
$t->store_init->feed('orders', pack => 'off');
my $key = $t->master_key;
$t->default_conf(location => 'eventsync_backfill on; eventsync_snapshot on;
    eventsync_pages on;');
$t->ctl_ok({ stdin => join '', map { $t->event(id => "e$_", subject => 's' . $_ % 7,
    type => 't.' . $_ % 3, data => { n => $_, name => "name of $_" }) . "\n" }
    1 .. EVENTS }, qw(publish orders --batch=30));
my $file = $t->store . '/log/data.mdb';
$t->run_nginx;
my ($epoch) = answer('events?from=oldest&limit=1') =~ /"cursor":"([^"]+)-1"/;

plain_page();
frames();

done_testing();

###############################################################################

sub answer {
    my ($path) = @_;
    my $answer = eval { $t->http(GET => "/v1/feeds/orders/$path",
        { authorization => "Bearer $key" }) };
    return '' if !$answer;
    # the last line of a backfill that fails
    return $answer->{status} != 200 ? $answer->{status}
        : $answer->{body} =~ s/^\{"error":.*\n\z//mr;
}

my @paths;

sub answers {
    @paths = ((map { "pages/$epoch/$_" } 1 .. 8),
        (map { "events?after=$epoch-" . ($_ * 100 + 40) . '&limit=10' } 0 .. 7),
        'events?from=oldest&types=t.1&limit=1000', 'events?from=oldest&subject=s3&limit=1000',
        'events?from=oldest&limit=1000', 'manifest?from=oldest', 'backfill?from=oldest',
        'snapshot');
    return map { $_ => answer($_) } @paths;
}

sub bytes {
    open my $fh, '<:raw', $file or die "$file: $!\n";
    local $/;
    return <$fh>;
}

sub change {
    my ($at) = @_;
    open my $fh, '+<:raw', $file or die "$file: $!\n";
    seek $fh, $at, 0;
    read $fh, my $byte, 1;
    seek $fh, $at, 0;
    print $fh chr(ord($byte) ^ 0x10);
    close $fh or die "$file: $!\n";
}

sub places {
    my ($what) = @_;
    my ($bytes, @places) = (bytes());
    push @places, pos $bytes while $bytes =~ /\Q$what\E/g;
    return @places;
}

# LMDB may have older copies of the text, which nobody reads.
sub plain_page {
    my @changed = places('name of 250"');
    change($_ - 3) for @changed;
    my ($rc, $out, $err) = $t->ctl(qw(feed pack orders));
    is($rc, 1, 'a feed with a damaged page is not packed wholly');
    like($out, qr/^6 pages: /, 'the other pages are packed');
    like($err, qr/1 page cannot be packed, from "$epoch-201" on: the log is damaged there; run "eventsyncctl verify"/,
        'the command says where');
    like(($t->ctl('verify'))[1] . ($t->ctl('verify'))[2], qr/orders.*2[0-9][0-9]/,
        'verify names the place');

    change($_ - 3) for @changed;
    is(($t->ctl(qw(feed pack orders)))[0], 0, 'when it is mended it is packed');
    dispatcher();
    ok($t->verify, 'the store verifies');
}

# The dispatcher passes over the page, and goes on after it.
sub dispatcher {
    $t->ctl_ok({ stdin => join '', map { $t->event(id => "later$_") . "\n" } 1 .. 1700 },
        qw(publish orders));
    my @changed = places('"later900"');
    change($_ - 3) for @changed;
    $t->ctl_ok(qw(feed change orders --pack=on));
    my $proc = $t->run_dispatcher;
    my $metric = sub { my ($name) = @_;
        return ($t->http(GET => '/ops/metrics')->{body} =~ /^eventsync_$name (\d+)$/m)[0] };
    ok(wait_for(sub { $metric->('packed_pages_total') == 16 }, 30),
        'a dispatcher packs the pages around it') or diag($metric->('packed_pages_total'));
    is($metric->('packing_errors_total'), 1, 'and counts an error');
    is($t->stop_dispatcher, 0, 'stop');
    is(scalar(() = $proc->stderr =~ /error: 1 page of feed "orders" cannot be packed, from "$epoch-1701" on: the log is damaged there/g),
        1, 'which it logs once');
    $t->ctl_ok(qw(feed change orders --pack=off));
    change($_ - 3) for @changed;
    is($t->ctl_ok(qw(feed pack orders)) =~ /^1 page: /, 1, 'it is packed when it is mended');
}

sub frames {
    my %right = answers();
    $t->allow_errors(qr/./);
    my ($hits, @wrong, @silent) = (0);
    for my $at (places(MAGIC)) {
        change($at + 40);
        $t->reload;
        my $logged = length $t->read_file('error.log');
        my %now = answers();
        my @differ = grep { $now{$_} ne $right{$_} } @paths;
        if (@differ) {
            $hits++;
            push @wrong, map { "$at: $_: " . substr $now{$_}, 0, 300 } grep {
                $now{$_} !~ /^5\d\d$|^$/
                    && substr($right{$_}, 0, length $now{$_}) ne $now{$_} } @differ;
            push @silent, "$at: the log: " . substr($t->read_file('error.log'), $logged) if substr($t->read_file('error.log'), $logged)
                !~ /does not match its hash/;
            my ($rc, $out, $err) = $t->ctl('verify');
            push @silent, "$at: verify: $out$err" if $rc != 1 || "$out$err" !~ /orders/;
        }
        change($at + 40);
        last if $hits == 6;
    }
    is($hits, 6, 'six records were damaged in turn');
    is_deeply(\@wrong, [], 'no request got other bytes');
    is_deeply(\@silent, [], 'log and verify name each');
    $t->reload;
    is_deeply({ answers() }, \%right, 'mended, all is as it was');
    ok($t->verify, 'the store verifies');
}
