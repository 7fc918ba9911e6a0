#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Field lists on the command line: what a write refuses, what a preview prints,
# and a record whose lists cannot be read.

use warnings;
use strict;

use Test::More;

use lib 't/lib';
use Test::Eventsync;

my $t = Test::Eventsync->new;
$t->store_init;
$t->feed($_) for qw(orders other);
$t->partner('acme', feeds => 'orders');
$t->partner('bolt', feeds => '*');

my $in = join "\n", map { qq({"specversion":"1.0","id":"$_","source":"/s",)
    . qq("type":"t","tag":"v$_","data":{ "id" : $_, "name":"canary-$_"}}) } 1, 2;
$t->ctl_ok({ stdin => "$in\n" }, 'publish', $_) for qw(orders other);
my @events = split /\n/, $t->ctl_ok('tail', 'orders');
my ($cursor) = $events[1] =~ /"cursor":"([^"]+)"/;
my ($elsewhere) = $t->ctl_ok('tail', 'other') =~ /"cursor":"([^"]+)"/;

sub fields { return $t->ctl_ok('partner', 'change', 'acme', "--fields=$_[0]") }
sub preview { return $t->ctl('fields', 'preview', @_) }

sub refused {
    my ($like, $name, @command) = @_;
    my ($rc, $out, $err) = $t->ctl(@command);
    isnt($rc, 0, "$name is refused");
    is($out, '', '... and nothing is printed');
    like($err, $like, '... with the reason');
    is($err =~ tr/\n//, 1, '... in one line');
}

###############################################################################
# a partner

my ($rc, $out, $err) = preview('acme', 'orders', $cursor);
is($rc, 0, 'without a list');
is($out, "$events[1]\n", '... the event is printed as it is');
like($err, qr/no field list for the feed "orders"/, '... with a note');

fields('{"orders":{"allow":["/id"]}}');
my $shown = $events[1] =~ s/,"tag":"v2"//r =~ s/\{ ("id" : 2).*\}\}/{$1}}/r;
isnt($shown, $events[1], 'the list takes something away');
is_deeply([ preview('acme', 'orders', $cursor) ], [0, "$shown\n", ''],
    'the event as the list shows it');
is_deeply([ (preview('acme', 'orders', $cursor, '--json'))[0, 1] ],
    [0, "$shown\n"], 'the same with --json');
is((preview('bolt', 'orders', $cursor))[1], "$events[1]\n",
    'another partner has no list');

fields('{"orders":{"allow":["/id","tag"]}}');
like((preview('acme', 'orders', $cursor))[1], qr/"tag":"v2".*\{"id" : 2\}\}$/,
    'an extension attribute that is listed');
fields('{"ord*":{"allow":[]}}');
unlike((preview('acme', 'orders', $cursor))[1], qr/"data"|canary/,
    'a change replaces the lists; an empty one shows no data');
like((preview('acme', 'other', $elsewhere))[2], qr/"other" is not among those/,
    'a feed that it is not sent is noted');
fields('');
is((preview('acme', 'orders', $cursor))[1], "$events[1]\n",
    'an empty value removes the lists');

refused(qr{^eventsyncctl: partner "acme": /fields/orders/allow/1: .*~0},
    'a bad pointer', qw(partner change acme),
    '--fields={"orders":{"allow":["/a","/~"]}}');
refused(qr{^eventsyncctl: partner "acme": /fields/orders/alow: },
    'an unknown member', qw(partner change acme),
    '--fields={"orders":{"alow":[]}}');
refused(qr{"--fields" is not a JSON object}, 'text that is not JSON',
    qw(partner change acme), '--fields={');
refused(qr{is not the cursor}, 'no cursor',
    qw(fields preview acme orders 17));
refused(qr{no partner "nobody"}, 'an unknown partner',
    qw(fields preview nobody orders), $cursor);
refused(qr{cannot read the event}, 'an event of another feed',
    qw(fields preview acme orders), $elsewhere);
refused(qr{cannot read the event}, 'an event that is not there',
    qw(fields preview acme orders), $cursor =~ s/2$/3/r);

###############################################################################
# an endpoint

fields('{"orders":{"allow":["/id","/name"]}}');
my $mine = $t->endpoint('acme', url => 'https://a.example/',
    feeds => 'orders', fields => '{"orders":{"allow":["/name","tag"]}}');
like((preview('acme', 'orders', $cursor, "--endpoint=$mine"))[1],
    qr/"prevcursor":"[^"]+","data":\{"name":"canary-2"\}\}$/,
    'a list of an endpoint narrows, and does not widen');
$t->ctl_ok('endpoint', 'change', $mine, '--fields=');
like((preview('acme', 'orders', $cursor, "--endpoint=$mine"))[1],
    qr/"data":\{"id" : 2,"name":"canary-2"\}\}$/,
    'without one, that of the partner holds');
refused(qr{belongs to the partner "acme"}, "another's endpoint",
    qw(fields preview bolt orders), $cursor, "--endpoint=$mine");
refused(qr{no endpoint "ep_none"}, 'an unknown endpoint',
    qw(fields preview acme orders), $cursor, '--endpoint=ep_none');

###############################################################################
# lists that are too intricate only together: whichever is written second

sub meeting {
    my ($name) = @_;
    return '{"orders":{"allow":[' . join(',', map { my $i = $_; '"' . join('',
        map { $_ == $i ? "/$name" : '/*' } 0 .. 7) . '/z"' } 0 .. 7) . ']}}';
}
my ($here, $there) = map { meeting($_) } qw(a b);

my $many = '/fields/orders: fields/orders has too many entries with "\*" that meet those of the';

fields($here);
refused(qr{^eventsyncctl: endpoint "$mine": $many partner$}, "an endpoint's list",
    qw(endpoint change), $mine, "--fields=$there");
fields('');
$t->ctl_ok('endpoint', 'change', $mine, "--fields=$there");
refused(qr{^eventsyncctl: partner "acme": $many endpoint "$mine"$},
    "a partner's list", qw(partner change acme), "--fields=$here");
$t->ctl_ok(qw(partner change acme --publish=orders));
pass('another change of the partner is not');
$t->ctl_ok('endpoint', 'change', $mine, '--fields=');
fields($here);
pass('each is a list alone');
fields('{"orders":{"allow":["/id","/name"]}}');

###############################################################################
# lists that cannot be read

for my $damaged ('{"orders":{"allow":["/~"]}}', '{"other":{"allow":1}}', '[]',
    '{"orders":{"show":["/id"]}}')
{
    my $record = $t->ctl_ok('partner', 'show', 'acme');
    $record =~ s/"fields":\{"orders":\{"allow":\[[^]]*\]\}\}/"fields":$damaged/
        or die $record;
    is(system($t->build . '/helper/damage', $t->store . '/registry', 'objects',
        'pacme', $record), 0, "the record has $damaged");
    refused(qr{the field lists or the encryption key of the record cannot},
        'an event under it', qw(fields preview acme orders), $cursor);
    refused(qr{/fields}, 'a change of something else',
        qw(partner change acme --publish=orders));
    my ($bad, $said) = $t->ctl('verify');
    isnt($bad, 0, 'verify finds it');
    like($said, qr/partner acme: .*(?:must|member)/, '... and says where');
    fields('{"orders":{"allow":["/id","/name"]}}');
    is((preview('acme', 'orders', $cursor))[0], 0, 'a new list mends it');
}

done_testing();
