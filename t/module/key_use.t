#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# When keys were last used: what counts as a use, what survives, which keys are
# listed as unused, and what a lost or damaged file does.

use warnings;
use strict;

use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);

my $t = Test::Eventsync->new;
$t->allow_errors(qr/cannot record when keys are used/);
$t->store_init->feed('prices');
my %key = map { $_ => $t->partner_key('acme', feeds => 'prices', scopes => 'read') }
    qw(used token never early gone);
$t->ctl_ok('key', 'change', id('never'), '--label=spare');
$t->write_file('tokens.jwk', '{"keys":[{"kty":"oct","alg":"HS256","kid":"one",'
    . '"k":"MTExMTExMTExMTExMTExMTExMTExMTExMTExMTExMTE"}]}');
chmod 0600, $t->testdir . '/tokens.jwk';
$t->default_conf(http => "eventsync_token_keys @{[ $t->testdir ]}/tokens.jwk;",
    server => '        location /auth/ { eventsync_poll on; eventsync_token on; }');
$t->run_nginx;

my $prices = '/v1/feeds/prices/events';
my $file = $t->store . '/used';
my $day = 86400;

uses();
unused();
failures();

done_testing();

###############################################################################

sub id { return substr $key{ $_[0] }, 4, 10 }

sub get {
    my ($credential) = @_;
    return $t->http(GET => $prices, { authorization => "Bearer $credential" })
        ->{status};
}

# The keys of a list, by the names of this test.
sub list {
    my %name = map { id($_) => $_ } keys %key;
    return { map { $name{ $_->{name} } => $_ }
        map { Test::Eventsync::json($_) }
        split /\n/, $t->ctl_ok('key', 'list', '--json', @_) };
}

sub last_used { return list()->{ $_[0] }{last_used} }

sub names { return join ' ', sort keys %{ list(@_) } }

# Writes the slot of a key (or of the file itself) as `days` ago.
sub slot {
    my ($name, $days) = @_;
    my $n = $name eq 'since' ? 1 : list()->{$name}{number} + 1;
    open my $fh, '+<:raw', $file or die "$file: $!\n";
    seek $fh, 8 * $n, 0;
    print {$fh} pack 'Q>', defined $days ? int(1000 * (time - $days * $day)) : 0;
    close $fh or die "$file: $!\n";
    return;
}

###############################################################################

sub uses {
    is(last_used($_), undef, "$_: no use yet") for sort keys %key;
    is(get($key{used}), 200, 'a request');
    like(last_used('used'), qr/^20\d\d-\d\d-\d\dT.*Z$/, 'is a use');
    is(last_used('token'), undef, 'of no other key');

    my $wrong = $key{gone} =~ s/(.)$/$1 eq 'a' ? 'b' : 'a'/er;
    is(get($wrong), 401, 'a wrong secret');
    $t->ctl_ok('key', 'change', id('gone'), '--allow-from=192.0.2.1');
    is(get($key{gone}), 403, 'a wrong address');
    $t->ctl_ok('key', 'change', id('gone'), '--allow-from=any');
    $t->ctl_ok('key', 'revoke', id('gone'));
    is(get($key{gone}), 401, 'a revoked key');
    is(last_used('gone'), undef, 'are no uses');

    my $token = Test::Eventsync::json($t->http(POST => '/auth/token',
        { 'content-type' => 'application/x-www-form-urlencoded' },
        'grant_type=client_credentials&client_id=' . id('token')
        . "&client_secret=$key{token}")->{body})->{access_token};
    ok(defined last_used('token'), 'a request for a token is a use');
    slot('token', undef);
    $t->reload;
    is(get($token), 200, 'a request with the token');
    ok(defined last_used('token'), 'is one, too');

    slot('used', 50);
    my $then = last_used('used');
    is(get($key{used}), 200, 'the first request of a worker');
    isnt(last_used('used'), $then, 'is recorded');
    slot('used', 50);
    $then = last_used('used');
    is(get($key{used}), 200, 'another within the hour');
    is(last_used('used'), $then, 'is not');
    $t->stop_nginx;
    is(last_used('used'), $then, 'and all survives a stop');
    $t->run_nginx;
    return;
}

sub unused {
    is(names('--unused-for=1d'), '', 'within the time of the file: none');
    my (undef, undef, $err) = $t->ctl('key', 'list', '--unused-for=90d');
    like($err, qr/note: uses are recorded since 20\S+ only/, 'and a note says so');
    slot('since', 1000);
    slot('used', 50);
    is(names('--unused-for=49d'), '', 'made since then: none');

    # Only time makes a key old, so a short time stands for a long one.
    ok(wait_for(sub { names('--unused-for=1s') eq 'early never token used' }, 20),
        'then all but a revoked key');
    slot('since', -1);
    is(names('--unused-for=1s'), '', 'none, if the file is newer than the keys');
    slot('since', 1000);
    slot('used', 0);
    is(names('--unused-for=1m'), '', 'a duration of minutes');
    slot('used', -1);
    unlike(names('--unused-for=1s'), qr/used/, 'a use in the future is a use');
    like($t->ctl_ok('key', 'list'),
        qr/^@{[ id('never') ]} .* label="spare" .* last_used=null$/m, 'a line');

    for my $bad ('', '0d', '-1d', 'd', '1x', '99999999d') {
        my ($rc, undef, $why) = $t->ctl('key', 'list', "--unused-for=$bad");
        isnt($rc, 0, "\"$bad\" is refused");
        like($why, qr/is not a duration, such as 90d/, 'with its reason');
    }
    return;
}

# Nothing is called unused without a record, and requests are served.
sub failures {
    my $fails = sub {
        my ($name, $reason) = @_;
        my ($rc, $out, $err) = $t->ctl('key', 'list', '--unused-for=1s');
        isnt($rc, 0, "$name: no list of unused keys");
        is($out, '', "$name: not even a part");
        like($err, $reason, "$name: its reason");
        ($rc, $out, $err) = $t->ctl('key', 'list');
        is($rc, 0, "$name: the list of all");
        like($out, qr/last_used=null/, "$name: without uses");
        like($err, qr/note: the last uses are not known/, "$name: and a note");
    };

    $t->stop_nginx;
    rename $file, "$file.kept" or die "$file: $!\n";
    $fails->('missing', qr/cannot say .*the file "used" of the store is missing/);
    $t->write_file('store/used', 'x' x 100);
    $fails->('damaged', qr/cannot say .*used" is damaged: remove it/);
    $t->run_nginx;
    is(get($key{used}), 200, 'damaged: requests are served');
    ok($t->logged('error.log',
        qr/\[warn\].*eventsync cannot record when keys are used: .*is damaged/),
        'damaged: the log says so');
    is($t->read_file('store/used'), 'x' x 100, 'damaged: it is left as it is');
    unlink $file;
    $t->reload;
    is(get($key{used}), 200, 'lost: requests are served');
    ok(wait_for(sub { -e $file && defined last_used('used') }, 20),
        'lost: it is made again');
    is(names('--unused-for=1d'), '', 'lost: nothing is unused for longer');
    return;
}
