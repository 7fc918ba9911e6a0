#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Answers that a receiver or a token server has compressed: what is on record is
# never compressed bytes as if they were text, and a token is found all the same.

use warnings;
use strict;

use IO::Compress::Gzip qw(gzip);
use JSON::PP;
use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Webhooks;

my $t = webhook_store();

sub gz { my ($text) = @_; gzip(\$text => \my $out); return $out }

my %answer = (
    '/gzip' => { status => 500, body => gz('no'),
        headers => { 'Content-Encoding' => 'gzip' } },
    '/unknown' => { status => 500, body => 'x y',
        headers => { 'content-encoding' => 'a-coding-of-its-own' } },
    '/identity' => { status => 500, body => 'plain',
        headers => { 'Content-Encoding' => 'identity' } },
    '/empty' => { status => 500, body => '',
        headers => { 'Content-Encoding' => 'gzip' } },
    '/none' => { status => 500, body => 'text' },
);
my $recv = $t->receiver(sub { $answer{ $_[0]{path} } // 200 });

my %token = (
    '/good' => [ 'gzip', \&gz ],
    '/twice' => [ 'gzip, gzip', sub { gz(gz($_[0])) } ],
    '/wrong' => [ 'gzip', sub { $_[0] } ],
    '/other' => [ 'compress', sub { $_[0] } ],
);
my $tokens = $t->receiver(sub {
    my ($coding, $encode) = @{ $token{ $_[0]{path} } };
    return { headers => { 'Content-Encoding' => $coding },
        body => $encode->(JSON::PP->new->encode({ access_token => 'secret',
            token_type => 'bearer', expires_in => 3600 })) };
});

# The client's secret is kept encrypted.
my $file = $t->testdir . '/key';
is(system("openssl rand -base64 -out $file 32 2>/dev/null"), 0, 'a key');
chmod 0600, $file;

my %name;
for my $path (sort keys %answer) {
    ($name{$path}) = $t->endpoint('acme', url => $recv->url($path),
        feeds => 'orders', schedule => '0');
}
for my $path (sort keys %token) {
    ($name{$path}) = $t->endpoint('acme', url => $recv->url($path),
        feeds => 'orders', schedule => '0', key_file => $file, oauth => JSON::PP->new->encode({
        token_url => $tokens->url($path), client_id => 'a', client_secret => 'b' }));
}
$t->run_dispatcher('--allow-http', '--allow-address=127.0.0.1/32',
    "--key-file=$file");
put($t, 'orders', 1);

my %recorded = (
    '/gzip' => '(content-encoding: gzip)',
    '/unknown' => '(content-encoding: a-coding-of-its-own)',
    '/identity' => 'plain',
    '/empty' => '',
    '/none' => 'text',
);
for my $path (sort keys %recorded) {
    my @lines;
    wait_for(sub { @lines = split /\n/, $t->ctl_ok('endpoint', 'attempts',
        $name{$path}, '--json') }, 20);
    is(Test::Eventsync::json($lines[0] // '{}')->{body}, $recorded{$path},
        "$path: what is on record");
}

for my $path ('/good', '/twice') {
    ok(wait_for(sub { grep { $_->{path} eq $path && ($_->{headers}{authorization}
        // '') eq 'Bearer secret' } $recv->requests }, 20),
        "$path: a token that came compressed is used");
}
for my $path ('/wrong', '/other') {
    my $line;
    ok(wait_for(sub { ($line) = grep { ($_->{class} // '') eq 'token' }
        attempts($t, $name{$path}) }, 20),
        "$path: one that cannot be read is none");
}

done_testing();
