#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# --verify-endpoints=http: what a partner's key makes or moves must agree, and
# what the partner sees of that.

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
$t->default_conf(location => "eventsync_endpoints on;\n");
$t->run_nginx;

my $address = 0;
sub receiver { $t->receiver($_[0], addr => '127.0.2.' . ++$address) }
my $agrees = sub { $_[0]{method} eq 'OPTIONS' ? { headers =>
    { 'WebHook-Allowed-Origin' => '*' } } : 200 };

sub ask {
    my ($method, $path, $body) = @_;

    $body = JSON::PP->new->encode($body) if $body;
    my $r = $t->http($method => "/v1/endpoints$path", {
        authorization => "Bearer $key",
        ($body ? ('content-type' => 'application/json') : ()) }, $body // ());
    $r->{json} = eval { Test::Eventsync::json($r->{body}) } if $r->{body};
    return $r;
}
sub make { my ($recv) = @_;
    return ask(POST => '', { url => $recv->url, feeds => ['orders'] })
        ->{json}{name} }
sub checked { my ($name) = @_;
    return wait_for(sub { ask(GET => "/$name/status")->{json}{state}
        eq 'unverified' && ask(GET => "/$name")->{json}{verification}{checks} })
}
sub methods { join ' ', map { $_->{method} } $_[0]->requests }

my $first = receiver(200);
my $made = make($first);
$t->run_dispatcher('--verify-endpoints=http');
ok(checked($made), 'an endpoint that a key made is unverified');
put($t, 'orders', 2);
is(methods($first), 'OPTIONS POST', '... and is sent only a check');

my $r = ask(GET => "/$made");
my $v = $r->{json}{verification};
is_deeply([@$v{qw(verified method checks class status)}],
    [JSON::PP::false, 'none', 1, 'unverified', 200], '... which it is shown');
is($v->{origin}, 'http://127.0.2.1:' . $first->port, '... with the origin');
like($v->{reason}, qr/^the receiver answers 200, but/, '... and the reason');
like($v->{next}, qr/^\d{4}-.*Z$/, '... and the next check');
is_deeply([map { $_->{verification}{verified} }
    @{ ask(GET => '')->{json}{endpoints} }], [JSON::PP::false],
    '... also in the list');
my ($entry) = grep { $_->{kind} eq 'verification' }
    @{ ask(GET => "/$made/status")->{json}{deliveries} };
is($entry->{checks}, 1, '... and in its status');
my ($attempt) = @{ ask(GET => "/$made/attempts")->{json}{attempts} };
is("$attempt->{kind} $attempt->{class}", 'check unverified',
    '... and among its attempts');
is(ask(PATCH => "/$made", { verification => {} })->{status}, 400,
    'nobody can set it');

$r = ask(POST => "/$made/test");
is($r->{status}, 409, 'a test event is refused');
is($r->{json}{type}, 'urn:eventsync:problem:unverified', '... by its type');
like($r->{json}{detail}, qr/it has not agreed to be sent events/, '... why');
is(ask(POST => "/$made/replay", { feed => 'orders', from => 'oldest' })
    ->{status}, 202, 'a replay waits');
like($t->http(GET => '/ops/metrics')->{body},
    qr/^eventsync_endpoints\{state="unverified"\} 1$/m, 'the metric counts it');

# The partner begins anew by a change, even an empty one.
my $before = $first->count;
is($t->stop_dispatcher, 0, 'stop');
is(ask(PATCH => "/$made", {})->{status}, 200, 'a change');
$t->run_dispatcher('--verify-endpoints=http');
ok(wait_for(sub { $first->count > $before }), '... begins a new check');

###############################################################################
# an operator's endpoint

my $second = receiver(200);
my $theirs = $t->endpoint('acme', url => $second->url, feeds => 'orders',
    start => 'oldest');
ok($second->wait_for(2), 'an endpoint that an operator made is sent events');
is(methods($second), 'POST POST', '... without a check');
is(ask(GET => "/$theirs")->{json}{verification}, undef,
    '... and has none to show');

is($t->ctl_ok(qw(endpoint show), $theirs) =~ /url_by/, '', 'not moved');
$t->ctl_ok(qw(endpoint change), $theirs, '--allow-http=no',
    '--allow-addresses=');
$t->ctl_ok(qw(partner change acme --allow-http=yes),
    '--allow-addresses=127.0.0.0/8');
my $third = receiver(200);
is(ask(PATCH => "/$theirs", { url => $second->url('/else') })->{status}, 200,
    'the partner may move it on its host');
put($t, 'orders', 1);
ok($second->wait_for(3), '... without a check');
is(ask(PATCH => "/$theirs", { url => $third->url })->{status}, 200,
    'but when a key moves it to another');
ok(checked($theirs), '... it is unverified');
my ($id) = $key =~ /^esk_([a-z2-7]+)_/;
like($t->ctl_ok(qw(endpoint show), $theirs), qr/"url_by":"$id"/,
    '... and its record says who');
is(ask(GET => "/$theirs")->{json}{url_by}, undef, '... to operators alone');
is(ask(PATCH => "/$theirs", { url_by => undef })->{status}, 400,
    '... and nobody else can set it');
put($t, 'orders', 1);
is(methods($third), 'OPTIONS POST', '... and it is sent only the check');

my $fourth = receiver($agrees);
my $willing = make($fourth);
put($t, 'orders', 1);
ok($fourth->wait_for(2), 'one that agrees is sent its events');
is(ask(GET => "/$willing/status")->{json}{state}, 'active', '... and active');
is(ask(POST => "/$willing/test")->{status}, 202, '... and can be tested');

is($t->stop_dispatcher, 0, 'stop');
ok($t->verify, 'verify');
done_testing();
