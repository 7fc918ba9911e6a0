#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# A partner skips, cancels and discards what its endpoints are not to be sent,
# and is told what a change takes from them.

use warnings;
use strict;

use JSON::PP;
use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Webhooks;

my $t = webhook_store();
$t->feed($_) for qw(ops prices hidden);
$t->{partners}{acme} = 1;
$t->ctl_ok('partner', 'change', 'acme', '--feeds=orders,prices,ops',
    '--operations=ops');
my $key = $t->partner_key('acme', scopes => 'read,manage');
my $manager = $t->partner_key('acme', scopes => 'manage');
my $reader = $t->partner_key('acme', scopes => 'read');
my $narrow = $t->partner_key('acme', scopes => 'read,manage',
    key_feeds => 'orders');
my $theirs = $t->partner_key('other', feeds => '*', scopes => 'read,manage');
my ($id) = $key =~ /^esk_([a-z2-7]+)_/;
$t->default_conf(location => 'eventsync_endpoints on;');
$t->run_nginx;

my %status = (bad => 500, worse => 404);
my $recv = $t->receiver(sub {
    my ($request) = @_;
    my ($type) = $request->{body} =~ /"type":"(\w+)"/;
    return $status{ $type // '' } // 200;
});

sub ask {
    my ($path, $body, %opts) = @_;
    my $r = $t->http($opts{method} // 'POST', "/v1/endpoints/$path", {
        authorization => 'Bearer ' . ($opts{as} // $key),
        $body ? ('content-type' => 'application/json') : () },
        $body ? encode_json($body) : ());
    $r->{json} = eval { decode_json($r->{body}) } if $r->{body};
    return $r;
}
sub refused {
    my ($r, $status, $type, $what, %members) = @_;
    is("$r->{status} " . ($r->{json}{type} =~ s/.*://r), "$status $type", $what)
        or diag($r->{body});
    is($r->{json}{$_}, $members{$_}, "... $_") for sort keys %members;
}
sub endpoint {
    my ($path, %opts) = @_;
    my $name = $t->endpoint('acme', url => $recv->url("/$path"),
        feeds => 'orders', start => 'latest', schedule => '0,1h', %opts);
    ok(wait_for(sub { grep { $_->{cursor} } status_lines($t, $name) }),
        "an endpoint: $path");
    return $name;
}
sub came {
    my ($path) = @_;
    return sequences(grep { $_->{path} eq "/$path" } $recv->requests);
}
sub told {
    my ($type, $name) = @_;
    return map { $_->{data} } grep { $_->{type} eq $type
        && $_->{subject} eq $name }
        map { decode_json($_) } stored($t, 'ops');
}

put($t, 'orders', 1);
$t->run_dispatcher;
my ($epoch) = (stored($t, 'orders'))[0] =~ /"cursor":"(\w+)-/;
my $last = sub { my $n = () = stored($t, 'orders'); return $n };

###############################################################################
# skip

my $name = endpoint('fifo');
my $at = $last->();
put_types($t, 'orders', qw(bad good bad good));
ok(wait_for(sub { retries($t, $name) == 1 }), 'an event blocks it');
my $this = { feed => 'orders', cursor => "$epoch-" . ($at + 1) };
my $next = { feed => 'orders', cursor => "$epoch-" . ($at + 2) };

refused(ask("$name/skip", $next), 409, 'not-standing', 'another event');
refused(ask("$name/skip", $this, as => $manager), 403, 'forbidden',
    'who may not read does not skip');
refused(ask("$name/skip", $this, as => $reader), 403, 'forbidden',
    'nor who may not manage');
refused(ask("$name/skip", $this, as => $theirs), 404, 'not-found',
    'nor another partner');
is(scalar retries($t, $name), 1, 'nothing has changed');

my $r = ask("$name/skip", $this);
is($r->{status}, 200, 'the one that blocks it');
is($r->{json}{count}, 1, 'is skipped');
is($r->{headers}{'cache-control'}, 'no-store', 'which nobody stores');
refused(ask("$name/skip", $this), 409, 'not-standing', 'once');
ok(wait_for(sub { came('fifo') == 3 }), 'the next ones are sent');
$r = ask("$name/dead-letters", undef, method => 'GET');
is_deeply([map { "$_->{cursor} $_->{class} $_->{reason}" }
    @{ $r->{json}{dead_letters} }], ["$this->{cursor} skipped skipped by key "
    . $id], 'it is a dead letter that says by whom');
ok(wait_for(sub { my ($told) = told('message.skipped', $name);
    $told && $told->{by} eq "key $id" }), 'so does the operational event');

is($t->stop_dispatcher, 0, 'without a dispatcher');
$this->{cursor} = "$epoch-" . ($at + 3);
ok(wait_for(sub { ask("$name/skip", $next)->{status} == 409 }, 15),
    'what it does not stand on is refused');
$r = ask("$name/skip", $this);
is($r->{status}, 202, 'the other one is noted');
ok($r->{json}{request}, 'with its number');
$t->run_dispatcher;
ok(wait_for(sub { came('fifo') == 4 }), 'and skipped at the next start');
$t->ctl_ok('endpoint', 'remove', $name);

###############################################################################
# cancel, discard

$name = endpoint('none', ordering => 'none');
$at = $last->();
put_types($t, 'orders', ('bad', 'worse') x 3);
ok(wait_for(sub { retries($t, $name) == 6 }), 'six events wait');
my %some = (feed => 'orders', types => ['bad']);
$r = ask("$name/cancel", { %some, dry_run => JSON::PP::true });
is_deeply([$r->{status}, $r->{json}], [200, { count => 3 }],
    'a dry run counts');
refused(ask("$name/cancel", { %some, expect => 4 }), 409, 'count-mismatch',
    'another number is refused', count => 3);
is(scalar retries($t, $name), 6, 'and nothing is done');
$r = ask("$name/cancel", { %some, expect => 3 });
is_deeply([$r->{status}, $r->{json}{count}], [200, 3],
    'with the right one they are cancelled');
is(scalar retries($t, $name), 3, 'and no others');
ok(wait_for(sub { my ($told) = told('messages.cancelled', $name);
    $told && $told->{by} eq "key $id" && $told->{count} == 3 }),
    'an operational event tells it');

$t->ctl_ok('endpoint', 'change', $name, '--schedule=0');
put_types($t, 'orders', ('bad', 'worse') x 2);
ok(wait_for(sub { dead($t, $name) == 7 }), 'dead letters');
%some = (statuses => [500], classes => ['status']);
is(ask("$name/discard", { %some, dry_run => JSON::PP::true })->{json}{count},
    2, 'are counted by status');
refused(ask("$name/discard", { %some, dry_run => JSON::PP::true },
    as => $narrow), 400, 'invalid-body', 'a narrowed key names the feed',
    pointer => '/feed');
refused(ask("$name/discard", { %some, expect => 7 }), 409, 'count-mismatch',
    'another number is refused', count => 2);
$r = ask("$name/discard", { %some, feed => 'orders', expect => 2 },
    as => $narrow);
is_deeply([$r->{status}, $r->{json}{count}], [200, 2], 'they are discarded');
ok(wait_for(sub { dead($t, $name) == 5 }), 'and no others');

for (['cancel', undef, undef], ['skip', {}, '/feed'],
    ['skip', { feed => 'orders' }, '/cursor'],
    ['skip', { feed => 'orders', cursor => 7 }, '/cursor'],
    ['skip', { feed => 'hidden', cursor => 'x-1' }, '/feed'],
    ['skip', { feed => 'none', cursor => 'x-1' }, '/feed'],
    ['cancel', { feed => 'orders' }, '/expect'],
    ['cancel', { feed => 'orders', expect => -1 }, '/expect'],
    ['cancel', { feed => 'orders', expect => 1, dry_run => JSON::PP::true },
        '/expect'],
    ['cancel', { feed => 'orders', dry_run => 1 }, '/dry_run'],
    ['cancel', { feed => 'orders', expect => 1, classes => ['tls'] },
        '/classes'],
    ['cancel', { feed => 'orders', expect => 1, types => 'a' }, '/types'],
    ['cancel', { feed => 'orders', expect => 1, types => ['a*b'] }, '/types'],
    ['cancel', { feed => 'orders', expect => 1, statuses => [1000] },
        '/statuses'],
    ['cancel', { feed => 'orders', expect => 1, from => "$epoch-3",
        to => "$epoch-2" }, '/from'],
    ['discard', { expect => 1, classes => ['none'] }, '/classes'],
    ['discard', { expect => 1, to => "$epoch-2" }, '/to'],
    ['discard', { expect => 1, 'a/b' => 2 }, '/a~1b'])
{
    my ($op, $body, $pointer) = @$_;
    refused(ask("$name/$op", $body), 400, 'invalid-body',
        "refused: $op " . ($body ? encode_json($body) : 'nothing'),
        pointer => $pointer);
}
$t->ctl_ok('endpoint', 'remove', $name);

###############################################################################
# what a change takes away

$name = endpoint('left', feeds => 'orders,prices');
$t->ctl_ok('endpoint', 'pause', $name);
put($t, 'prices', 3);
$r = ask($name, { feeds => ['orders'] }, method => 'PATCH');
is_deeply($r->{json}{left}, [{ feed => 'prices', events => 3 }],
    'a change tells which feed the endpoint is not sent, with how many');
$r = ask($name, { feeds => ['orders', 'prices'] }, method => 'PATCH');
ok(!exists $r->{json}{left}, 'and else nothing');
ok(wait_for(sub { $t->{dispatcher}->stderr =~ /$name receives feed "prices"/
    && !grep { $_->{line} =~ / away/ } status_lines($t, $name) }),
    'it has it again');
$r = ask($name, undef, method => 'DELETE');
is_deeply([$r->{status}, $r->{headers}{'eventsync-undelivered'}], [204, 3],
    'a removal tells how many events were not delivered');

is($t->stop_dispatcher, 0, 'the dispatcher stops cleanly');

done_testing();
