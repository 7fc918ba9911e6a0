#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Access tokens: how they are asked for, sent, kept, thrown away, and what is
# when there are none.

use warnings;
use strict;

use JSON::PP;
use MIME::Base64 qw(decode_base64);
use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Webhooks;

my $t = webhook_store();
$t->feed('quiet');
my $dir = $t->testdir;
my $secret = 'p w:%+/&';

sub token {
    my ($token, %more) = @_;
    return { body => JSON::PP->new->encode({ access_token => $token,
        token_type => 'bearer', expires_in => 3600, %more }) };
}

my %bad = (
    nojson => { body => 'hush' },
    type => token('hush', token_type => 'mac'),
    line => token("a\r\nb: hush"),
    large => token('hush', x => 'x' x 70000),
    moved => { status => 307, headers => { Location => '/plain' } },
);

# A token tells how many have been asked for by then.  A file named `broken`
# or `fresh` says what this server and the receiver are like now.
my $tokens = $t->receiver(sub {
    my ($request) = @_;
    (my $name = $request->{path}) =~ tr{/}{}d;

    return $bad{$name} if $bad{$name};
    return { status => 400, body => '{"error":"invalid_client"}' }
        if $name eq 'none' && -e "$dir/broken";
    return 500 if $name eq 'over';
    return token($name, expires_in => 1) if $name eq 'short';
    return token(-e "$dir/fresh" ? 'fresh' : 'old') if $name eq 'stale';
    return token("$name-$request->{n}");
});
my $recv = $t->receiver(sub {
    my ($request) = @_;
    return 200 if $request->{path} ne '/stale';
    return $request->{headers}{authorization} eq 'Bearer fresh' ? 200 : 401;
});

sub endpoint {
    my ($path, %opts) = @_;
    my %oauth = (token_url => $tokens->url("/$path"), client_id => 'me:you',
        client_secret => $secret, %{ delete $opts{oauth} // {} });
    my ($name) = $t->endpoint('acme', url => $recv->url("/$path"),
        feeds => 'orders', schedule => '0,100ms',
        key_file => "$dir/key", oauth => JSON::PP->new->encode(\%oauth),
        %opts);
    return $name;
}

sub came  { my ($p) = @_; return grep { $_->{path} eq "/$p" } $recv->requests }
sub asked { my ($p) = @_; return grep { $_->{path} eq "/$p" } $tokens->requests }

my $made = $t->start('openssl', {}, 'openssl', 'rand', '-base64', '-out',
    "$dir/key", '32');
is($made->wait(20), 0, 'a key');
chmod 0600, "$dir/key";
my $key = "--key-file=$dir/key";

###############################################################################
# asked for once, and sent

my $quiet = endpoint('quiet', feeds => 'quiet', disable_after => '1s');
my $plain = endpoint('plain', ordering => 'none',
    oauth => { scope => 'a b&c', audience => 'https://e.org/' });
my $proc = $t->run_dispatcher('--allow-http', '--allow-address=127.0.0.1',
    $key);
put($t, 'orders', 20);
ok(wait_for(sub { came('plain') >= 20 }, 30), 'all have come');
is(scalar asked('plain'), 1, 'with one token');
my ($ask) = asked('plain');
is($ask->{method}, 'POST', 'that was asked for by POST');
is($ask->{body}, 'grant_type=client_credentials&scope=a%20b%26c'
    . '&audience=https%3A%2F%2Fe.org%2F', 'with a form');
is($ask->{headers}{'content-type'}, 'application/x-www-form-urlencoded',
    'that says so');
my ($basic) = $ask->{headers}{authorization} =~ /\ABasic (\S+)\z/;
is(decode_base64($basic // ''), 'me%3Ayou:p%20w%3A%25%2B%2F%26',
    'and credentials that are encoded first');
is_deeply([grep { /^(?:webhook|eventsync)-/ } header_list($ask)], [],
    'and nothing of a webhook');
my $bearer = "Bearer plain-$ask->{n}";
is_deeply([grep { $_->{headers}{authorization} ne $bearer } came('plain')], [],
    'each has the token');
is_deeply([grep { $_->{line} =~ /kind=token/ } attempts($t, $plain)], [],
    'no record is made of it');

$t->ctl_ok('endpoint', 'change', $plain, '--in-flight=8', $key);
my $shown = Test::Eventsync::json($t->ctl_ok('endpoint', 'show', $plain));
like($shown->{oauth}{client_secret}, qr/^sealed:/,
    'at rest the secret is encrypted');
put($t, 'orders', 1);
ok(wait_for(sub { came('plain') >= 21 }, 30), 'after a change');
is(scalar asked('plain'), 2, 'there is another token');
is((asked('plain'))[1]{headers}{authorization}, $ask->{headers}{authorization},
    'by the same secret');

###############################################################################
# renewed, replaced

endpoint('short');
put($t, 'orders', 1);
ok(wait_for(sub { came('short') >= 1 }, 30), 'a token of one second');
ok(wait_for(sub { put($t, 'orders', 1); asked('short') >= 3 }, 30),
    'is got anew when it has ended');

my $stale = endpoint('stale', schedule => '0,1s,1s,1s,1s,1s,1s,1s');
put($t, 'orders', 1);
ok(wait_for(sub { came('stale') >= 1 }, 30), 'a token that is refused');
$t->write_file('fresh', '');
ok(wait_for(sub { grep { $_->{status} == 200 } attempts($t, $stale) }, 30),
    'is replaced for the next attempt');
my @stale = attempts($t, $stale);
is($stale[0]{status}, 401, 'the first had failed');
is($stale[0]{class}, 'status', 'as any other');
cmp_ok(scalar asked('stale'), '>=', 2, 'a second token was asked for');

###############################################################################
# none

$t->write_file('broken', '');
my $none = endpoint('none', schedule => '0', disable_after => '2d');
my @ids = put($t, 'orders', 2);
ok(wait_for(sub { attempts($t, $none) >= 2 }, 30), 'no token');
my @failed = attempts($t, $none);
is_deeply([grep { $_->{class} ne 'token' || $_->{kind} ne 'token'
    || $_->{status} != 400 } @failed], [], 'attempts say so');
cmp_ok($failed[1]{time_ms} - $failed[0]{time_ms}, '>=', 900,
    'with time between them');
is_deeply([map { $_->{attempt} } @failed[0, 1]], [1, 2], 'counted');
is(scalar came('none'), 0, 'nothing is sent');
is(scalar dead($t, $none), 0, 'and no event is given up');
my $json = (split /\n/, $t->ctl_ok('endpoint', 'attempts', $none, '--json'))[0];
is(Test::Eventsync::json($json)->{kind}, 'token', 'as in JSON');

my ($rc) = $t->ctl('endpoint', 'test', $none);
is($rc, 1, 'a test event fails');
ok(wait_for(sub { grep { $_->{line} =~ /kind=test/ && $_->{class} eq 'token' }
    attempts($t, $none) }, 30), 'by that');

unlink "$dir/broken";
$t->ctl_ok('endpoint', 'change', $none, '--in-flight=2', $key);
ok(wait_for(sub { came('none') >= 2 }, 30), 'with a token all come');
is_deeply([map { $_->{headers}{'webhook-id'} } came('none')], \@ids,
    'in order');
is_deeply([grep { $_->{headers}{'eventsync-attempt'} != 1 } came('none')], [],
    'each by its first attempt');

$t->ctl_ok('endpoint', 'change', $none, '--paused', $key);
($rc) = $t->ctl('endpoint', 'test', $none);
is($rc, 0, 'a test event gets one, too');

$t->write_file('broken', '');
my $idle = endpoint('none', feeds => 'nothing');
$t->ctl_ok('endpoint', 'change', $idle, '--paused', $key);
($rc) = $t->ctl('endpoint', 'test', $idle);
is($rc, 1, 'without one it fails');
unlink "$dir/broken";
($rc) = $t->ctl('endpoint', 'test', $idle);
ok(wait_for(sub { grep { $_->{line} =~ /kind=test/ && $_->{class} eq 'ok' }
    attempts($t, $idle) }), 'the next one asks again, though nothing else is sent');

my %names = map { $_ => endpoint($_) } sort keys %bad;
$names{private} = endpoint('private',
    oauth => { token_url => 'http://10.0.0.1/' });
my $before = asked('plain');
put($t, 'orders', 1);
for my $path (sort keys %names) {
    ok(wait_for(sub { attempts($t, $names{$path}) }, 30), "$path: an attempt");
    my ($attempt) = attempts($t, $names{$path});
    is($attempt->{class}, 'token', 'fails');
    unlike($t->ctl_ok('endpoint', 'attempts', $names{$path}, '--json'),
        qr/hush/, 'without its answer on record');
    is(scalar came($path), 0, 'and nothing is sent');
}
is(scalar asked('plain'), $before, 'redirects are not followed');

###############################################################################
# an endpoint that only fails, for want of a token

my $over = endpoint('over', disable_after => '1s');
put($t, 'orders', 1);
ok(wait_for(sub {
    $t->ctl_ok('endpoint', 'status', $over) =~ /no success since/ }, 30),
    'is stopped');

###############################################################################
# nothing to send

is(scalar asked('quiet'), 0, 'an endpoint that is sent nothing asks for none');
unlike($t->ctl_ok('endpoint', 'status', $quiet), qr/stopped/,
    'and is not stopped for want of it');

is($t->stop_dispatcher, 0, 'the dispatcher stops');
unlike($proc->stderr, qr/hush|\Q$secret\E|plain-\d/, 'no secret is in its log');

for my $case (['{', 2, 'is not a JSON object'], ['[]', 1, '/oauth: '],
    ['{"token_url":"https://e.org/"}', 1, '/oauth/client_id: '])
{
    my ($text, $exit, $why) = @$case;
    my ($code, undef, $err) = $t->ctl('endpoint', 'change', $plain,
        "--oauth=$text", $key);
    is($code, $exit, "--oauth=$text is refused");
    like($err, qr/\Q$why\E/, 'and it says why');
}

done_testing();
