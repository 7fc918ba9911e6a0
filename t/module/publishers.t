#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# The log says who published each event: by which key, or by which program.
# "feed publishers" prints it, also when the record of the key is gone.

use warnings;
use strict;

use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);

my $t = Test::Eventsync->new(workers => 2);
$t->store_init->feed('orders')->feed('ops');
my $acme = $t->partner_key('acme', feeds => '*', publish => 'orders');
my $other = $t->partner_key('other', feeds => '*', publish => 'orders');
my $second = $t->ctl_ok('key', 'create', 'acme', '--scopes=publish') =~ s/\s//gr;
my ($acme_id, $other_id, $second_id) = map { /^esk_(.{10})/ } $acme, $other,
    $second;

is_deeply([ map { numbers($_) } $acme_id, $other_id, $second_id ], [1, 2, 3],
    'each key has a number');

$t->default_conf(http => '', server => <<'CONF');
location /open/ {
            eventsync_publish on;
            eventsync_auth off;
        }
CONF
$t->run_nginx;

sub numbers { Test::Eventsync::json($t->ctl_ok('key', 'list', '--json')
    =~ /^(.*"\Q$_[0]\E".*)$/m ? $1 : '{}')->{number} }
my $ids = 0;
sub by {
    my ($key, $n, $prefix) = @_;
    return $t->http(POST => ($prefix // '/v1') . '/feeds/orders/events',
        { 'content-type' => 'application/cloudevents-batch+json',
          $key ? (authorization => "Bearer $key") : () },
        '[' . join(',', map { $t->event(id => substr(
            $key // 'open', -9) . ++$ids) } 1 .. $n) . ']')->{status};
}
sub publishers {
    return map { [ /^[a-z2-7]+-(\d+) [a-z2-7]+-(\d+) \S+Z (\S+) (\S+)$/ ] }
        split /\n/, $t->ctl_ok('feed', 'publishers', @_);
}

is_deeply([publishers('orders')], [], 'nobody published to an empty feed');

is_deeply([by($acme, 3), by($acme, 2), by($second, 1), by($other, 250),
    by(undef, 1, '/open')], [(201) x 5], 'several keys publish, and nobody does');
$t->ctl_ok({ stdin => $t->event . "\n" }, 'publish', 'orders');
by($acme, 1);

my @expected = ([1, 5, 'acme', $acme_id], [6, 6, 'acme', $second_id],
    [7, 256, 'other', $other_id], [257, 258, '-', 'operator'],
    [259, 259, 'acme', $acme_id]);
is_deeply([publishers('orders')], \@expected, 'each run of events has its key');
ok($t->verify, 'the store verifies');

my @json = map { Test::Eventsync::json($_) }
    split /\n/, $t->ctl_ok('feed', 'publishers', 'orders', '--json');
my ($epoch) = $json[1]{first} =~ /^(.*)-/;
like(delete $json[1]{time}, qr/^20.*Z$/, 'JSON has the time');
is_deeply($json[1], { first => "$epoch-6", last => "$epoch-6",
    partner => 'acme', key => $second_id, partner_number => 1,
    key_number => 3 }, 'and names and numbers');

# Publishes of several keys that share commits: a run never has another's event.
my $busy = $t->background(others => sub { by($other, 1) for 1 .. 100 });
by($acme, 1) for 1 .. 100;
is($busy->wait(30), 0, 'both keys publish at once');
my %by;
for (publishers('orders')) {
    my ($first, $last, undef, $key) = @$_;
    $first = 260 if $first < 260;
    $by{$key} += $last + 1 - $first if $last >= $first;
}
is_deeply(\%by, { $acme_id => 100, $other_id => 100 }, 'each event has its key');

# A removed key keeps its number, and no other gets it.
$t->ctl_ok('key', 'remove', $second_id);
$t->ctl_ok('key', 'remove', $other_id);
$t->ctl_ok('partner', 'remove', 'other');
my $new = $t->ctl_ok('key', 'create', 'acme', '--scopes=publish') =~ s/\s//gr;
is(numbers(substr $new, 4, 10), 4, 'a new key gets a new number');
$t->ctl_ok('feed', 'trim', 'orders', "--before=$epoch-7");
$expected[2] = [7, 256, '#2', '#2'];
is_deeply([(publishers('orders'))[0]], [$expected[2]],
    'what was removed has its number, from the oldest event on');
ok($t->verify, 'and is no fault');

my ($rc, undef, $err) = $t->ctl('feed', 'publishers', 'none');
is($rc, 1, 'another feed is refused');
like($err, qr/\Aeventsyncctl: no feed "none"\n\z/, 'by name');

###############################################################################
# the dispatcher publishes operational events

$t->ctl_ok('partner', 'change', 'acme', '--operations=ops',
    '--allow-http=yes', '--allow-addresses=127.0.0.0/8');
my $recv = $t->receiver(sub { 410 });
$t->endpoint('acme', url => $recv->url('/gone'), feeds => 'orders',
    start => 'oldest');
$t->run_dispatcher;
ok(wait_for(sub { publishers('ops') }, 20), 'an operational event is published');
is_deeply([ map { [@$_[2, 3]] } publishers('ops') ], [['-', 'dispatcher']],
    'by the dispatcher');

done_testing();
