#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# A version of an event type that is deprecated is told to the partners who may
# read events of the type: once, by an operational event, and in their status.

use warnings;
use strict;

use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Webhooks;

my $t = webhook_store(workers => 1);
$t->feed($_) for qw(prices acme-ops quiet-ops);
$t->ctl_ok('partner', 'change', 'acme', '--operations=acme-ops');
$t->partner('quiet', feeds => 'prices', operations => 'quiet-ops');
my $key = $t->partner_key('acme', scopes => 'read');
my $narrow = $t->partner_key('acme', scopes => 'read', key_feeds => 'prices');
$t->default_conf(location => 'eventsync_status on;');
$t->run_nginx;

sub register {
    my ($type, $version, @more) = @_;
    $t->ctl_ok({ stdin => '{"type":"object"}' }, 'type', 'register', $type, $version, @more);
}

# What a partner was told, as "type/version" and the parts of the event.
sub told {
    my ($feed) = @_;
    return grep { $_->{type} eq 'type.deprecated' } map { Test::Eventsync::json($_) }
        stored($t, $feed);
}

sub deprecations {
    my ($who) = @_;
    return Test::Eventsync::json($t->http(GET => '/v1/status',
        { authorization => "Bearer $who" })->{body})->{deprecations};
}

register('order.updated', $_) for qw(1.0.0 1.1.0 2.0.0);
register('price', '1.0.0', '--feeds=prices');
register('unused', '1.0.0');
put($t, 'orders', { type => 'order.updated' }, { type => 'price' });
put($t, 'prices', { type => 'other' });
$t->run_dispatcher;
is_deeply(deprecations($key), [], 'nothing is deprecated at first');

###############################################################################
# deprecated

my @dates = ('--from=2026-12-01T00:00:00Z', '--sunset=2027-06-01T00:00:00Z');
$t->ctl_ok('type', 'deprecate', 'order.updated', '1.0.0', @dates);
$t->ctl_ok('type', 'deprecate', 'unused', '1.0.0');
$t->ctl_ok('type', 'deprecate', 'price', '1.0.0');
ok(wait_for(sub { told('acme-ops') == 1 }, 5), 'a partner is told') or diag($t->{dispatcher}->stderr);
my ($event) = told('acme-ops');
my $expected = { type => 'order.updated', version => '1.0.0', successor => '1.1.0',
    deprecated => '2026-12-01T00:00:00.000Z', sunset => '2027-06-01T00:00:00.000Z',
    feeds => ['orders'] };
is($event->{subject}, 'order.updated/1.0.0', 'of which version');
is_deeply($event->{data}, $expected, 'with the dates, the successor and its feeds');
ok(wait_for(sub { @{ deprecations($key) } == 1 }, 20), 'its status has it');
is_deeply(deprecations($key), [$expected], 'with the same');
is_deeply(deprecations($narrow), [], 'but not for a key that does not read the feed');

# The type "price" belongs to "prices", where no event of it is.
put($t, 'prices', { type => 'price' });
ok(wait_for(sub { told('quiet-ops') == 1 && told('acme-ops') == 2 }, 40),
    'a type that is new in a feed is told to its readers');
is_deeply((told('quiet-ops'))[0]{data}{feeds}, ['prices'], 'of that feed');
is((told('quiet-ops'))[0]{data}{successor}, undef, 'without a successor');

###############################################################################
# once; again with other dates; and no more

$t->stop_dispatcher;
$t->ctl_ok('type', 'deprecate', 'order.updated', '1.0.0', $dates[0],
    '--sunset=2027-07-01T00:00:00Z');
$t->ctl_ok('type', 'deprecate', 'order.updated', '1.1.0', @dates);
$t->run_dispatcher;
ok(wait_for(sub { told('acme-ops') == 4 }, 20), 'a change of the dates is told');
is_deeply([sort map { "$_->{data}{version} $_->{data}{sunset} $_->{data}{successor}" }
    (told('acme-ops'))[2, 3]], ['1.0.0 2027-07-01T00:00:00.000Z 2.0.0',
    '1.1.0 2027-06-01T00:00:00.000Z 2.0.0'], 'and nothing else again');
is(scalar told('quiet-ops'), 1, 'nor to others');

$t->ctl_ok('type', 'deprecate', 'price', '1.0.0', '--cancel');
ok(wait_for(sub { !grep { $_->{type} eq 'price' } @{ deprecations($key) } }, 20),
    'one that was cancelled leaves the status');
sub records {
    my $list = $t->start('records', {}, $t->build . '/helper/records',
        $t->store . '/delivery', 'meta');
    $list->wait(20);
    return grep { /^64657072656361746564/ } split /\n/, $list->stdout;
}
ok(wait_for(sub { records() == 2 }, 20), 'and is forgotten');
$t->ctl_ok('type', 'deprecate', 'price', '1.0.0');
ok(wait_for(sub { told('quiet-ops') == 2 }, 20), 'so that another time is told');

$t->finish;
done_testing();
