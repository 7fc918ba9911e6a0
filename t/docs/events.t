#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# The examples of docs/events.md: states and changes as they are published, what
# a snapshot makes of each, and the page's reader of changes, also when events
# come twice, late or not at all.

use warnings;
use strict;

use JSON::PP;
use Test::More;

use lib 't/lib';
use Test::Eventsync;

my $page = do { local (@ARGV, $/) = 'docs/events.md'; <> };
my %json = $page =~ /^```json (\w+)\n(.*?)^```$/msg;
my ($program) = $page =~ /as `apply\.py`:\n\n```python\n(.*?)^```$/ms;
is(join(' ', sort keys %json), 'changes states', 'the page has both examples');

my $t = Test::Eventsync->new;
$t->store_init->feed('orders')->feed('baskets');
my $key = $t->partner_key('acme', feeds => '*', publish => '*',
    scopes => 'read,publish');
$t->{master_key} = $key;
$t->default_conf(location => 'eventsync_snapshot on;');
$t->run_nginx;

for my $case ([orders => 'states'], [baskets => 'changes']) {
    my ($feed, $which) = @$case;
    for (1 .. 2) {
        my $answer = $t->http(POST => "/v1/feeds/$feed/events", { authorization
            => "Bearer $key", 'content-type' => 'application/x-ndjson' },
            $json{$which});
        is($answer->{status}, 201, "the $which are published");
        is(scalar(() = $answer->{body} =~ /"duplicate":true/g),
            $_ == 1 ? 0 : 3, $_ == 1 ? 'as they are' : 'and once only');
    }
}

sub snapshot {
    my ($feed) = @_;
    return [ sort { $a->{subject} cmp $b->{subject} }
        @{ $t->json_get("/v1/feeds/$feed/snapshot", $key)->{events} } ];
}

my $snapshot = snapshot('orders');
is(scalar @$snapshot, 1, 'a deleted subject is not in the snapshot');
is_deeply($snapshot->[0]{data}, { status => 'paid',
    items => [{ sku => 'A', n => 2 }] }, 'and the other one is whole');
is_deeply(snapshot('baskets')->[0]{data}{patch},
    { items => { A => undef }, note => 'for Ann' },
    'a snapshot of changes has the last change');

$t->write_file('apply.py', $program);

sub apply {
    my $proc = $t->start('apply', { stdin => join '', @_ }, 'python3',
        $t->testdir . '/apply.py');
    is($proc->wait(20), 0, 'the reader ends') or diag($proc->stderr);
    return JSON::PP::decode_json($proc->stdout);
}

my @events = map { "$_\n" } split /\n/, $t->ctl_ok('tail', 'baskets');
my $state = { 'basket/7' => [3, { items => { B => 1 }, note => 'for Ann' }] };
is_deeply(apply(@events), { baskets => $state, gaps => [] },
    'the state that the changes lead to');
is_deeply(apply(@events, @events), { baskets => $state, gaps => [] },
    'the same if they come twice');
is_deeply(apply(@events[0, 2]), { gaps => ['basket/7'],
    baskets => { 'basket/7' => [1, { items => { A => 2 }, note => 'gift' }] } },
    'a change that is missing is noticed');
is_deeply(apply($events[2])->{gaps}, ['basket/7'], 'so is a state');

my $whole = JSON::PP::encode_json({ subject => 'basket/7',
    data => { version => 9, state => { items => {} } } }) . "\n";
is_deeply(apply(@events[0, 2], $whole), { gaps => [],
    baskets => { 'basket/7' => [9, { items => {} }] } },
    'and a state repairs it');

done_testing();
