#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Data-use agreements: what a record may say, and what ends with it - requests,
# those that wait, streams, tokens and webhooks - until it is renewed.  Partners
# and operators are told before.

use warnings;
use strict;

use POSIX qw(strftime);
use Test::More;
use Time::HiRes qw(time);

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Reader;
use Test::Eventsync::Webhooks;

my $t = webhook_store(workers => 1);
$t->feed($_) for qw(prices acme-ops);
$t->ctl_ok('partner', 'change', 'acme', '--feeds=orders,prices', '--operations=acme-ops');
my $key = $t->partner_key('acme', scopes => 'read,publish');
my $narrow = $t->partner_key('acme', scopes => 'read', key_feeds => 'prices');
my $expired = $t->partner_key('acme', scopes => 'read');
$t->ctl_ok('key', 'change', substr($expired, 4, 10), '--expires=2020-01-01T00:00:00Z');
my $other = $t->partner_key('bolt', feeds => '*', scopes => 'read');
$t->write_file('tokens.jwk', '{"keys":[{"kty":"oct","alg":"HS256","kid":"one",'
    . '"k":"MTExMTExMTExMTExMTExMTExMTExMTExMTExMTExMTE"}]}');
chmod 0600, $t->testdir . '/tokens.jwk';
$t->default_conf(http => "eventsync_token_keys @{[ $t->testdir ]}/tokens.jwk;",
    location => 'eventsync_status on; eventsync_sse on; eventsync_token on;');
$t->run_nginx;
my $recv = $t->receiver(200);
my $endpoint = $t->endpoint('acme', url => $recv->url, feeds => 'orders', start => 'oldest');
$t->run_dispatcher;

my $orders = '/v1/feeds/orders/events';
my @terms = ('--purpose=invoices of orders', '--feeds=orders,prices');

records();
reports();
told();
ends();
renewed();

done_testing();

###############################################################################

sub get {
    my ($credential, $path) = @_;
    return $t->http(GET => $path // $orders, { authorization => "Bearer $credential" });
}

sub expires {
    my ($seconds) = @_;
    my $at = time + $seconds;
    return '--expires=' . strftime('%Y-%m-%dT%H:%M:%S', gmtime $at)
        . sprintf('.%03dZ', 1000 * ($at - int $at));
}

sub data_use { return $t->ctl(qw(partner data-use acme), @_) }

sub notices {
    return grep { $_->{type} eq 'data_use.ends' } map { Test::Eventsync::json($_) }
        stored($t, 'acme-ops');
}

###############################################################################

sub records {
    my $wrong = sub {
        my ($name, $expected, @options) = @_;
        my ($rc, $out, $err) = data_use(@options);
        isnt($rc, 0, $name);
        like($err, $expected, 'says why');
    };
    $wrong->('no purpose', qr{/data_use/purpose}, '--feeds=*', expires(86400));
    $wrong->('no end', qr{/data_use/expires}, @terms);
    $wrong->('no feeds', qr{/data_use/feeds}, $terms[0], expires(86400));
    $wrong->('a granted feed that it does not name', qr{/feeds/1.*agreement}, $terms[0],
        '--feeds=orders', expires(86400));
    $wrong->('no time', qr{/data_use/expires}, @terms, '--expires=soon');
    $wrong->('no days', qr{retention-days}, @terms, expires(86400), '--retention-days=0');
    $wrong->('two things at once', qr{--none}, @terms, '--none');

    $t->ctl_ok(qw(partner data-use acme), @terms, expires(100 * 86400), '--retention-days=90');
    my ($rc, undef, $err) = $t->ctl('partner', 'change', 'acme',
        '--feeds=orders,acme-ops');
    isnt($rc, 0, 'a feed is granted that the agreement does not name');
    like($err, qr{/feeds/1}, 'says which');
    is(get($key)->{status}, 200, 'a request is admitted before the end');
}

sub reports {
    my $report = Test::Eventsync::json(get($key, '/v1/status')->{body})->{data_use};
    is($report->{purpose}, 'invoices of orders', 'status has the purpose');
    is_deeply($report->{feeds}, [qw(orders prices)], 'the feeds');
    is($report->{retention_days}, 90, 'how long the data may be kept');
    like($report->{expires}, qr/^20\d\d-.*Z$/, 'and the end');
    ok(!exists Test::Eventsync::json(get($_, '/v1/status')->{body})->{data_use},
        'a key for some feeds, or of another partner, is not told') for $narrow, $other;
    unlike($t->ctl('doctor') // '', qr/data-use/, 'an end that is far off is no finding');
}

# Once for 30 days, 7 days and one day, also after a restart.
sub told {
    is(scalar notices(), 0, 'nothing was told');
    $t->ctl_ok(qw(partner data-use acme), expires(29 * 86400));
    ok(wait_for(sub { notices() == 1 }, 30), 'a partner is told 30 days before');
    my ($event) = notices();
    is($event->{subject}, 'acme', 'that its own access');
    is_deeply($event->{data}{feeds}, [qw(orders prices)], 'to these feeds');
    like($event->{data}{expires}, qr/Z$/, 'ends then');

    $t->stop_dispatcher;
    $t->run_dispatcher;
    $t->ctl_ok(qw(partner data-use acme), expires(6 * 86400));
    ok(wait_for(sub { notices() == 2 }, 30), 'and 7 days before, with the new end');
    my (undef, $out) = $t->ctl('doctor');
    like($out, qr/warn +data-use: .*acme ends at/, 'doctor says it');
}

sub ends {
    my $token = Test::Eventsync::json($t->http(POST => '/v1/token',
        { 'content-type' => 'application/x-www-form-urlencoded' },
        'grant_type=client_credentials&client_id=' . substr($key, 4, 10)
        . "&client_secret=$key")->{body})->{access_token};
    is(get($token)->{status}, 200, 'a token works');
    my $call = $t->http_start(GET => "$orders?from=latest&wait=60",
        { authorization => "Bearer $key" });
    my $reader = Test::Eventsync::Reader->new($t, "$orders?from=latest", $token);
    $reader->await(sub { @{ $_[0]{all} } });
    $t->waiting(1);
    $t->waiting(1, 'stream');

    $t->ctl_ok(qw(partner data-use acme), expires(2));
    my $answer = $t->http_end($call);
    is($answer->{status}, 403, 'a request that waits ends with the agreement');
    cmp_ok($answer->{seconds}, '<', 50, 'and not at its own time');
    $reader->await(sub { $_[0]->problem });
    is(($reader->problem // {})->{status}, 403, 'so does a stream');

    for ([ 'key', $key ], [ 'token', $token ]) {
        my $refused = get($_->[1]);
        is($refused->{status}, 403, "the $_->[0] is refused");
        is(Test::Eventsync::json($refused->{body})->{detail},
            'The data-use agreement has ended.', 'with the reason');
    }
    is(get($key, '/v1/feeds/none/events')->{status}, 403, 'on every path');
    is(get($expired)->{status}, 401, 'an expired key is not told');
    is(get($other)->{status}, 200, 'another partner is served');

    # The dispatcher reads the end from the record, as it does a change.
    ok(wait_for(sub { $t->ctl_ok('endpoint', 'status', $endpoint) =~ /disabled/ }, 20),
        'the endpoint is disabled');
    my $before = $recv->count;
    put($t, 'orders', 1);
    my (undef, $out) = $t->ctl('explain', $endpoint);
    like($out, qr/agreement of the partner acme has ended/, 'explain says why');
    is($recv->count, $before, 'nothing is sent');
}

sub renewed {
    $t->ctl_ok(qw(partner data-use acme), expires(365 * 86400));
    is(get($key)->{status}, 200, 'a renewed agreement admits requests');
    ok(wait_for(sub { $recv->count > 0 }, 30), 'and what has waited is sent');
    $t->ctl_ok(qw(partner data-use acme --none));
    ok(!exists Test::Eventsync::json($t->ctl_ok(qw(partner show acme)))->{data_use},
        'an agreement is removed');
    is(get($key)->{status}, 200, 'and access stays');
}
