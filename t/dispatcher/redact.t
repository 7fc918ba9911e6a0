#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Receivers that answer with the secrets that they were sent: the first bytes of
# an answer are recorded without them.

use warnings;
use strict;

use JSON::PP;
use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Webhooks;

my $t = Test::Eventsync->new;
my $key = '--key-file=' . $t->secret_file(('k' x 43) . '=');
$t->store_init(sealed => 1)->feed('orders');
my $reader = $t->partner_key('acme', feeds => '*', scopes => 'read,manage');

my %secret = (header => 'open-sesame-1', password => 'dXNlcjpzd29yZGZpc2g=',
    token => 'token-of-the-server', client => 'client secret!');
my $recv = $t->receiver(sub {
    my ($r) = @_;
    my $h = $r->{headers};
    return { status => 500, body => $r->{path} eq '/cut'
        ? 'x' x 246 . $h->{'x-api-key'} : $r->{path} eq '/short' ? 'no: abc'
        : join ' ', 'you sent', grep { defined } @{$h}{qw(x-api-key
            authorization)}, $h->{'x-api-key'} };
});
my $tokens = $t->receiver(sub {
    return $_[0]{path} eq '/bad'
        ? { status => 400, body => "unknown secret: $secret{client}." }
        : { body => JSON::PP->new->encode({ access_token => $secret{token},
            token_type => 'bearer', expires_in => 3600 }) };
});

sub endpoint {
    my ($path, $option, $value) = @_;
    return $t->endpoint('acme', url => $recv->url($path), feeds => 'orders',
        start => 'oldest', schedule => '0', key_file => $key =~ s/.*?=//r,
        $option => JSON::PP->new->encode($value));
}
sub oauth {
    return { token_url => $tokens->url($_[0]), client_id => 'me',
        client_secret => $secret{client} };
}
my %headers = ('x-api-key' => $secret{header},
    authorization => "Basic $secret{password}");
my %endpoint = (
    own => scalar endpoint('/own', headers => \%headers),
    cut => scalar endpoint('/cut', headers => \%headers),
    short => scalar endpoint('/short', headers => { 'x-api-key' => 'abc' }),
    bearer => scalar endpoint('/bearer', oauth => oauth('/good')),
    client => scalar endpoint('/client', oauth => oauth('/bad')));
put($t, 'orders', 1);
$t->run_dispatcher($key);

sub stars { return '*' x length $_[0] }
my %recorded = (
    own => 'you sent ' . stars($secret{header}) . ' Basic '
        . stars($secret{password}) . ' ' . stars($secret{header}),
    cut => 'x' x 246 . '*' x 10,
    short => 'no: abc',
    bearer => 'you sent Bearer ' . stars($secret{token}),
    client => 'unknown secret: ' . stars($secret{client}) . '.',
);
for my $name (sort keys %recorded) {
    my $body;
    wait_for(sub {
        my ($rc, $out) = $t->ctl('endpoint', 'attempts', $endpoint{$name},
            '--json');
        ($body) = map { $_->{body} // () }
            map { JSON::PP::decode_json($_) } split /\n/, $out;
        return defined $body;
    }, 10);
    is($body, $recorded{$name}, "$name: the answer without secrets");
}

ok($t->stop_dispatcher == 0, 'the dispatcher ends');
done_testing();
