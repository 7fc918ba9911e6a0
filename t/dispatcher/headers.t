#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Header fields of an endpoint's own.

use warnings;
use strict;

use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Webhooks;

my $t = webhook_store();
my $recv = $t->receiver(200);
my $key = $t->testdir . '/key';
my $made = $t->start('openssl', {}, 'openssl', 'rand', '-base64', '-out', $key,
    '32');
is($made->wait(20), 0, 'a key');
chmod 0600, $key;

my $long = 'v' x 4000;
my ($name) = $t->endpoint('acme', url => $recv->url, feeds => 'orders',
    start => 'oldest',
    headers => qq({"Authorization":"Bearer a b","X-Long":"$long"}));

my $shown = Test::Eventsync::json($t->ctl_ok('endpoint', 'show', $name));
is($shown->{headers}{Authorization}, 'Bearer a b', 'the operator sees them');

for my $bad (['[]', 1, '/headers: '], ['{', 2, 'is not a JSON object'],
    ['{"x-a":"1","x-a":"2"}', 2, 'is not a JSON object'],
    ['{"host":"x"}', 1, '/headers/host: '],
    ['{"x":"a\r\nb: c"}', 1, '/headers/x: '])
{
    my ($json, $exit, $text) = @$bad;
    my ($rc, undef, $err) = $t->ctl('endpoint', 'change', $name,
        "--headers=$json");
    is($rc, $exit, "$json is refused");
    like($err, qr/\Q$text\E/, 'and it says why');
}

sub sent {
    my ($n) = @_;
    my @all = $recv->wait_for($n, 30);
    return $all[$n - 1]{headers};
}

put($t, 'orders', 1);
$t->run_dispatcher("--key-file=$key");
my $sent = sent(1);
is($sent->{authorization}, 'Bearer a b', 'they are sent');
is($sent->{'x-long'}, $long, 'all of them');
ok($sent->{'webhook-id'}, 'with what belongs to a webhook');

$t->ctl_ok('endpoint', 'change', $name, '--headers={"x-b":"2"}',
    "--key-file=$key");
put($t, 'orders', 1);
$sent = sent(2);
is($sent->{'x-b'}, 2, 'others from then on, that were encrypted');
ok(!exists $sent->{authorization}, 'and only they');
like($t->ctl_ok('endpoint', 'show', $name), qr/"x-b":\s*"sealed:/,
    'at rest they are encrypted');
my ($rc) = $t->ctl('endpoint', 'change', $name, '--headers={"x-b":"3"}');
is($rc, 1, 'and never written otherwise');

$t->ctl_ok('endpoint', 'change', $name, '--headers={}', "--key-file=$key");
put($t, 'orders', 1);
$sent = sent(3);
ok($sent && !exists $sent->{'x-b'}, 'none any more');

done_testing();
