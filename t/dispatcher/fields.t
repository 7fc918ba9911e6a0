#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Field lists in webhooks: in each form of the body, in batches, retries, dead
# letters, resends and replays; narrowed by an endpoint; changed meanwhile; and
# lists that cannot be read.

use warnings;
use strict;

use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Fields qw(entries faults lists);
use Test::Eventsync::Webhooks;

my $t = webhook_store();
my $bad = $t->testdir . '/bad';
my $recv = $t->receiver(sub { -e $bad && $_[0]{path} eq '/fails' ? 500 : 200 });
$t->partner('bolt', feeds => '*');

sub change { my ($lists) = @_;
    $t->ctl_ok(qw(partner change acme), '--fields=' . lists($lists)) }
sub endpoint { my ($path, %opts) = @_;
    return $t->endpoint(delete $opts{partner} // 'acme', url => $recv->url($path),
        feeds => 'orders', start => 'oldest', %opts) }
sub came { my ($path) = @_; grep { $_->{path} eq $path } $recv->requests }
sub text { my ($path) = @_;
    return join '', map { my $r = $_; join "\n",
        (map { "$_: $r->{headers}{$_}" } sort keys %{ $r->{headers} }),
        $r->{body} } came($path) }
sub count { my ($path) = @_;
    return scalar(() = text($path) =~ /(?:"|ce-)cursor(?:"|:)/g) || came($path) }
sub all_came { my ($n, @paths) = @_;
    ok(wait_for(sub { !grep { count($_) < $n } @paths }, 30),
        "$n events came at @paths") or diag(map { "$_ " . count($_) } @paths) }

###############################################################################
# random documents in each form

my $seed = $ENV{ES_FIELDS_SEED} // int rand 2**31;
my $random = Test::Eventsync::Fields->new($seed);
my $trace = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
my (@leaves, $in);
for my $n (1 .. 20) {
    my ($data, $leaves) = $random->document;
    push @leaves, @$leaves;
    $in .= $t->event(tag => "tag-$n", traceparent => $trace,
        type => $n % 2 ? 'odd' : 'even', tracestate => 'vendor=secret',
        data => \$data) . "\n";
}
$t->ctl_ok({ stdin => $in }, 'publish', 'orders');
my @published = split /\n/, $t->ctl_ok('tail', 'orders');
my ($mine, $narrow) = map { $random->list } 1, 2;
change({ orders => { allow => [entries($mine)] } });

my ($whole, $secret) = endpoint('/whole');
endpoint('/cloudevents', content_type => 'application/cloudevents+json');
endpoint('/batch', batch => 10);
endpoint('/odd', types => 'odd');
endpoint('/thin', body => 'thin');
endpoint('/binary', body => 'binary');
endpoint('/data', body => 'data');
endpoint('/narrow', fields => lists({ orders => { allow => [entries($narrow)] } }));
endpoint('/other', partner => 'bolt');
$t->run_dispatcher('--allow-http', '--allow-address=127.0.0.1/32');

all_came(20, map { "/$_" } qw(whole cloudevents batch thin binary data narrow other));
all_came(10, '/odd');
my @preview = map { my ($cursor) = /"cursor":"([^"]+)"/;
    split /\n/, $t->ctl_ok(qw(fields preview acme orders), $cursor) } @published;

for my $path (map { "/$_" } qw(whole cloudevents batch binary data)) {
    is_deeply([ faults(text($path), \@leaves, $mine) ], [], "seed $seed: $path");
}
is_deeply([ grep { /^hidden/ } faults(text('/odd'), \@leaves, $mine) ], [],
    "seed $seed: with a filter");
is_deeply([ faults(text('/narrow'), \@leaves, $mine, $narrow) ], [],
    "seed $seed: an endpoint's own list narrows");
unlike(text('/thin'), qr/canary/, 'thin has no data');
for my $path (map { "/$_" } qw(whole cloudevents batch odd thin binary data narrow)) {
    unlike(text($path), qr/tag-|secret|0af7651916cd43dd/,
        "$path has no extension attribute and no trace");
}
is_deeply([ faults(text('/other'), \@leaves, [[]]) ], [],
    'another partner is sent everything');
like(text('/other'), qr/"tag":"tag-20"/, '... with the attributes');
like(text('/other'), qr/^traceparent: 00-0af7651916cd43dd8448eb211c80319c-/m,
    '... with the trace');
my %sent = map { $_->{body} => 1 } came('/whole');
is_deeply([ grep { !$sent{$_} } @preview ], [], 'the bytes are those of the preview');
is(join(',', map { my $b = substr $_->{body}, 1, -1; $b } came('/batch')),
    join(',', @preview), '... also in batches');

is_deeply([ grep { !signature_ok($_, $secret) } came('/whole') ], [],
    'the signature covers what is sent');

###############################################################################
# retries, dead letters, resends and replays, under the list of that moment

$t->write_file('bad', '');
my $fails = endpoint('/fails', schedule => '0', ordering => 'none');
ok(wait_for(sub { scalar(() = $t->ctl_ok(qw(endpoint dead), $fails) =~ /\n/g) == 20 },
    30), 'all are dead letters');
is_deeply([ faults(text('/fails'), \@leaves, $mine) ], [], 'that were sent by the list');
change({ orders => { allow => [entries($narrow), 'tag'] } });
unlink $bad;
my $before = came('/fails');
$t->ctl_ok(qw(endpoint redrive), $fails);
ok(wait_for(sub { came('/fails') >= $before + 20 }, 30), 'they are redriven');
my $text = join '', map { $_->{body} } (came('/fails'))[$before .. $before + 19];
is_deeply([ faults($text, \@leaves, $narrow) ], [], '... under the new list');
like($text, qr/"tag":"tag-/, '... which names an attribute');

my ($cursor) = $published[0] =~ /"cursor":"([^"]+)"/;
$before = came('/whole');
$t->ctl_ok(qw(endpoint resend), $whole, 'orders', $cursor);
ok(wait_for(sub { came('/whole') > $before }, 30), 'a resend');
is((came('/whole'))[$before]{body} . "\n", $t->ctl_ok(qw(fields preview acme
    orders), $cursor), '... is under the new list');
$before = came('/whole');
$t->ctl_ok(qw(endpoint replay), $whole, 'orders', '--from=oldest');
ok(wait_for(sub { came('/whole') >= $before + 20 }, 30), 'a replay');
$text = join '', map { $_->{body} } (came('/whole'))[$before .. $before + 19];
is_deeply([ faults($text, \@leaves, $narrow) ], [], '... as well');

###############################################################################
# lists that cannot be read stop the partner's lanes, and lose nothing

$t->feed('ops');
$t->ctl_ok(qw(partner change acme --operations=ops));
sub told { my ($type) = @_;
    return grep { /"type":"$type"/ && /"reason":"unreadable"/ && /"$whole"/ }
        split /\n/, $t->ctl_ok(qw(tail ops)) }

my $record = $t->ctl_ok('partner', 'show', 'acme');
$record =~ s/"allow"/"alow"/ or die $record;
is(system($t->build . '/helper/damage', $t->store . '/registry', 'objects',
    'pacme', $record), 0, 'the lists are damaged');
$t->ctl_ok(qw(partner change bolt --publish=orders));     # the registry is read again
my %had = map { $_ => scalar came($_) } qw(/whole /batch /other);
$t->ctl_ok({ stdin => $t->event(id => 'late', data => { late => 'canary-late' })
    . "\n" }, 'publish', 'orders');
ok(wait_for(sub { came('/other') > $had{'/other'} }, 30), 'another partner goes on');
ok(wait_for(sub { $t->ctl_ok(qw(endpoint status), $whole) =~ /unreadable/ }, 30),
    'the lane is stalled');
like($t->{dispatcher}->stderr, qr/its field lists cannot be applied/,
    'the log says why');
ok(wait_for(sub { told('endpoint.stalled') }, 30), '... and an operational event');
is_deeply([ map { scalar came($_) } qw(/whole /batch) ],
    [ @had{qw(/whole /batch)} ], 'nothing was sent');
change({ orders => { allow => [] } });
ok(wait_for(sub { came('/whole') > $had{'/whole'}
    && came('/batch') > $had{'/batch'} }, 30), 'a good list sets it going');
unlike($_->{body}, qr/canary|late":/, 'and holds') for (came('/whole'))[-1],
    (came('/batch'))[-1];
ok(wait_for(sub { $t->ctl_ok(qw(endpoint status), $whole) !~ /unreadable/ }, 30),
    'the stall is over');
ok(wait_for(sub { told('endpoint.unstalled') }, 30), '... which is told as well');

done_testing();
