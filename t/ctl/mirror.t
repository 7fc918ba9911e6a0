#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# "mirror" copies a live feed into a staging store: what the list shows, once,
# and on after a kill.

use warnings;
use strict;

use JSON::PP;
use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);

my $t = Test::Eventsync->new;
$t->store_init->feed('orders');
my $live = $t->store;
my $to = $t->testdir . '/staging';
$t->ctl_ok("--store=$to", 'init', '--plain-secrets');
my @fields = ('--fields=["/id","/items/*/sku","tag"]');

sub at { return $t->ctl_ok(ref $_[0] ? shift : (), "--store=$to", @_) }
sub publish {
    my ($store, $feed, @ids) = @_;
    $t->ctl_ok({ stdin => join '', map { event($_) } @ids }, "--store=$store", 'publish', $feed);
}
sub event {
    my ($id) = @_;
    return encode_json({ specversion => '1.0', id => "e$id", source => '/s', type => 'order.paid',
        subject => "order/$id", tag => "t$id", other => "canary-x$id", time => '2026-01-01T00:00:00Z',
        data => { id => $id, mail => "canary-m$id", items => [{ sku => "A$id", price => 7 }] } })
        . "\n";
}
sub events { my ($store) = @_;
    return map { decode_json($_) } split /\n/, $t->ctl_ok("--store=$store", qw(tail orders)) }
sub mirror { return $t->ctl('mirror', 'orders', "--to=$to", @fields, @_) }
sub mirrored { my ($rc, $out, $err) = mirror(@_); is($rc, 0, 'a mirror') or diag($err);
    return $out }
sub refused {
    my ($status, $like, $name, @command) = @_;
    my ($rc, $out, $err) = $t->ctl(@command);
    is($rc, $status, "$name is refused");
    like($err, $like, '... with the reason');
    is($err =~ tr/\n//, 1, '... in one line');
}

###############################################################################
# where it may copy to

publish($live, 'orders', 1 .. 3);
at(qw(feed create orders));
refused(1, qr/"\Q$to\E" is not for trials; "eventsyncctl store mark staging"/,
    'a store that is not marked', 'mirror', 'orders', "--to=$to", @fields);
is(scalar events($to), 0, '... and gets nothing');
at(qw(store mark staging));

###############################################################################
# the copies

is(mirrored(), "copied 3 events; 0 were there already, 0 were erased\n", '... of three events');
my @original = events($live);
my @copy = events($to);
is_deeply([ map { $_->{mirrored} } @copy ], [ map { $_->{cursor} } @original ],
    'a copy has the cursor of its original');
for my $name (qw(id source type subject time tag)) {
    is_deeply([ map { $_->{$name} } @copy ], [ map { $_->{$name} } @original ],
        "... and its $name");
}
is_deeply($copy[1]{data}, { id => 2, items => [{ sku => 'A2' }] }, '... and what the list shows');
unlike($t->ctl_ok("--store=$to", qw(tail orders)), qr/canary/, '... and nothing else');
is($copy[0]{feed}, 'orders', '... in the feed of the same name');

# On from the last copy, which is behind events of a trial.
publish($to, 'orders', 'trial1');
at({ stdin => '{"specversion":"1.0","id":"trial2","source":"/s","type":"t","data":'
    . '{"a":1,"mirrored":"' . $original[0]{cursor} . '"}}' }, qw(publish orders));
is(mirrored(), "copied 0 events; 0 were there already, 0 were erased\n", 'again: nothing is new');
publish($live, 'orders', 4);
is(mirrored(), "copied 1 event; 0 were there already, 0 were erased\n", 'one more event');
is(mirrored('--from=oldest'), "copied 0 events; 4 were there already, 0 were erased\n",
    'from the oldest: each is stored once');
is_deeply(decode_json(mirrored("--from=$original[2]{cursor}", '--json')),
    { copied => 0, duplicates => 1, erased => 0 }, 'after a cursor');

# Erased events are passed over.
publish($live, 'orders', 5, 6);
$t->ctl_ok(qw(erase --feed=orders --subject=order/5 --expect=1 --forget-ids));
is(mirrored(), "copied 1 event; 0 were there already, 1 was erased\n", 'an erased event');
is((events($to))[-1]{id}, 'e6', '... is passed over');

###############################################################################
# it follows, is killed, and goes on

my $proc = $t->start('mirror', {}, $t->build . '/eventsyncctl', "--store=$live", 'mirror',
    'orders', "--to=$to", @fields, '--follow');
publish($live, 'orders', 7);
ok(wait_for(sub { (events($to))[-1]{id} eq 'e7' }, 30), 'it follows the feed')
    or diag($proc->stderr);
$proc->kill('KILL');
$proc->wait(30);
$t->forget($proc);
publish($live, 'orders', 8);
is(mirrored(), "copied 1 event; 0 were there already, 0 were erased\n", 'after a kill it goes on');

$proc = $t->start('mirror', {}, $t->build . '/eventsyncctl', "--store=$live", 'mirror',
    'orders', "--to=$to", @fields, '--follow');
publish($live, 'orders', 9);
ok(wait_for(sub { (events($to))[-1]{id} eq 'e9' }, 30), 'it follows again');
at(qw(store mark production));
publish($live, 'orders', 10);
$proc->wait(30);
like($proc->stderr, qr/is not for trials/, 'it ends when the mark is taken away');
is((events($to))[-1]{id}, 'e9', '... and copies nothing more');
$t->forget($proc);
at(qw(store mark staging));

###############################################################################
# what is refused

my @mirror = ('mirror', 'orders');
refused(2, qr/"--to" is the store itself/, 'the store itself', @mirror, "--to=$live/../store",
    @fields);
refused(1, qr/feed "none"/, 'a feed that does not exist', 'mirror', 'none', "--to=$to", @fields);
$t->feed('here');
refused(1, qr/feed "here" of the store "\Q$to\E"/, 'a feed that the target does not have',
    'mirror', 'here', "--to=$to", @fields);
refused(2, qr/--fields/, 'no list', @mirror, "--to=$to");
for (['/id', qr/must be a JSON array/], ['{"allow":[]}', qr/must be a JSON array/],
    ['[1]', qr/entry 1 must be a string/], ['["/a","time"]', qr/entry 2 must not name/],
    ['["mirrored"]', qr/entry 1 must not be the mark/], ['["/~2"]', qr/entry 1 must/])
{
    refused(2, $_->[1], "the list $_->[0]", @mirror, "--to=$to", "--fields=$_->[0]");
}
refused(1, qr/conflict|content/i, 'another list for what is there', @mirror, "--to=$to",
    '--fields=[]', '--from=oldest');
refused(2, qr/"--from=soon" is not oldest/, 'a bad position', @mirror, "--to=$to", @fields,
    '--from=soon');
$t->ctl_ok(qw(feed reset orders));
refused(1, qr/cursor "[^"]+": /, 'a feed that was reset', @mirror, "--to=$to",
    @fields);
publish($live, 'orders', 11);
is(mirrored('--from=oldest'), "copied 1 event; 0 were there already, 0 were erased\n",
    '... which --from goes on with');

# A schema of the target refuses copies without what it requires.
at({ stdin => '{"required":["mail"]}' }, qw(type register order.paid 1.0.0));
at(qw(feed change orders --schema=enforce));
publish($live, 'orders', 12);
refused(1, qr/feed "orders": event 1: .*required/, 'a copy that a schema does not allow',
    @mirror, "--to=$to", @fields);

done_testing();
