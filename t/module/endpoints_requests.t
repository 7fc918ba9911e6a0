#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Requests to a dispatcher that does not run: a few of each endpoint wait, and
# do not fill the registry for everybody.

use warnings;
use strict;

use JSON::PP;
use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Webhooks;

my $t = webhook_store();
$t->{partners}{acme} = 1;
my $key = $t->partner_key('acme', scopes => 'read,manage');
my ($name, $other, $third) = map { scalar $t->endpoint('acme',
    url => 'https://a.example/', feeds => 'orders') } 1 .. 3;
$t->default_conf(location => 'eventsync_endpoints on;');
$t->run_nginx;
put($t, 'orders', 1);
my $cursor = $t->poll('orders', key => $key, from => 'oldest')->{next};

sub ask {
    my ($path, $body) = @_;
    my $r = $t->http(POST => "/v1/endpoints/$path", {
        authorization => "Bearer $key",
        $body ? ('content-type' => 'application/json') : () },
        $body ? encode_json($body) : ());
    $r->{json} = eval { decode_json($r->{body}) };
    return $r;
}

my @requests = (['test'], ['redrive'],
    ['resend', { feed => 'orders', cursor => $cursor }],
    ['replay', { feed => 'orders', from => 'oldest' }]);
is(ask("$name/" . $requests[$_ % 4][0], $requests[$_ % 4][1])->{status}, 202,
    "request $_ waits") for 1 .. 10;

for (@requests, ['cancel', { feed => 'orders', expect => 0 }],
    ['discard', { expect => 0 }])
{
    my ($what, $body) = @$_;
    my $r = ask("$name/$what", $body);
    is($r->{status}, 429, "then no $what");
    is_deeply($r->{json}{'violated-policies'}, ['requests'], '... why');
    like($r->{json}{detail}, qr/10 requests of the endpoint wait/,
        '... in words');
    ok($r->{headers}{'retry-after'} > 0, '... for a time');
}
is(ask("$other/test")->{status}, 202, 'another endpoint has its own');

for (['test'], ['redrive'], ['resend', 'orders', $cursor],
    ['replay', 'orders', '--from=oldest'],
    ['discard', '--expect=0'], ['cancel', 'orders', '--expect=0'])
{
    my ($command, @args) = @$_;
    my ($rc, undef, $err) = $t->ctl('endpoint', $command, $name, @args);
    is($rc, 1, "nor a command: $command");
    like($err, qr/^eventsyncctl: .*10 requests of the endpoint wait for the /m,
        '... why');
}

for my $failure (qw(drop none)) {
    for ([status => {}], [status => 200], [percent => undef], [percent => 101],
        [delay => 'soon'], [for => '2d'], [nonsense => 1])
    {
        my ($member, $value) = @$_;
        my $r = ask("$name/simulate", { failure => $failure, $member => $value });
        is($r->{status}, 400, "$failure: $member must be right");
        is($r->{json}{pointer}, '/' . ($member =~ s/nonsense/failure/r),
            '... which the pointer says');
    }
}
is(ask("$name/simulate", { failure => 'none' })->{status}, 200,
    'what is no request is done');
$t->run_dispatcher;
ok(wait_for(sub { ask("$name/redrive")->{status} == 202 }, 20),
    'a dispatcher takes them');
$t->allow_errors(qr/./);
$t->stop_dispatcher;

ok($t->verify, 'nothing is wrong');
$t->finish;
done_testing();
