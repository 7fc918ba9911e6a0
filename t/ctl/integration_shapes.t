#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# eventsyncctl verify-integration in binary mode and with data only.

use warnings;
use strict;

use Digest::SHA qw(hmac_sha256_base64);
use JSON::PP;
use MIME::Base64 qw(decode_base64);
use Test::More;

use lib 't/lib';
use Test::Eventsync;

my $SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
my @BAD = qw(wrong-signature no-signature tampered-body old-timestamp
    future-timestamp);
my $t = Test::Eventsync->new;

# A receiver of the shape that the path names, but for one mistake.
my $recv = $t->receiver(sub {
    my ($r) = @_;
    my ($shape, $no) = $r->{path} =~ m{^/(\w+)/(\w*)};
    my %h = %{ $r->{headers} };
    return 204 if $r->{method} eq 'OPTIONS';
    my $mac = hmac_sha256_base64(join('.', @h{qw(webhook-id
        webhook-timestamp)}, $r->{body}), decode_base64(substr $SECRET, 6));
    $mac .= '=' while length($mac) % 4;
    return 401 if !grep { $_ eq "v1,$mac" }
        split / /, $h{'webhook-signature'} // '';
    return 400 if abs($h{'webhook-timestamp'} - time) > 300;
    return 415 if $shape eq 'binary'
        && ($h{'ce-id'} // '') ne $h{'webhook-id'};
    return 415 if $shape eq 'data' && grep { /^ce-/ } keys %h;
    return 422 if $no eq 'empty' && $r->{body} eq '';
    return 422 if $no eq 'types'
        && ($h{'ce-type'} // '') eq 'eventsync.test.unknown';
    my $data = $r->{body} ne '' ? decode_json($r->{body}) : {};
    return 422 if $data->{specversion};
    return { status => 200, body => encode_json({ challenge =>
        $data->{challenge} }) } if $data->{challenge};
    return 204;
});

sub verify {
    my ($path, @args) = @_;
    my ($rc, $out, $err) = $t->ctl('verify-integration', @args, '--json',
        ($path ? ('--url=' . $recv->url($path), "--secret=$SECRET") : ()));
    return ($rc, decode_json($out), $err);
}
sub failed { join ' ', map { $_->{check} } grep { !$_->{pass} }
    @{ $_[0]{checks} } }
sub came { my ($path) = @_; grep { $_->{path} eq $path } $recv->requests }

for (['binary', '--binary'], ['data', '--data-only']) {
    my ($shape, $option) = @$_;
    my ($rc, $report, $err) = verify("/$shape/", $option);
    is(failed($report), '', "a receiver of $shape passes");
    is($rc, 0, '... exit status') or diag($err);
    my %sent;
    @sent{ map { $_->{check} } @{ $report->{checks} } } = came("/$shape/");
    is("$sent{'no-data'}{body} "
        . ($sent{'no-data'}{headers}{'content-type'} // 'none'), ' none',
        '... which is sent an empty body without a type');
    is($sent{valid}{headers}{'content-type'}, 'application/json',
        '... and data of a type');
    is($sent{'unknown-attributes'}{headers}{'ce-testnote'},
        $shape eq 'binary' ? 'not%20known' : undef, '... and attributes');
    like($sent{'line-end'}{body}, qr/^\{"check":"line-end".*\}\n\z/,
        '... and a line end after it');
    is(decode_json($sent{'unknown-type'}{body})->{check}, 'unknown-type',
        '... and data alone');
    ok(!exists $sent{thin} && !exists $sent{batch}, '... and no other form');

    ($rc, $report) = verify("/$shape/empty", $option);
    is(failed($report), 'no-data', 'one that needs data does not');
    ($rc, $report) = verify("/$shape/", $option,
        '--agreement=events.example');
    is(failed($report), '', 'a challenge is in that shape');
    ($rc, $report) = verify("/$shape/");
    like(failed($report), qr/^valid/, 'another shape does not pass');
}
my (undef, $report) = verify('/binary/types', '--binary');
is(failed($report), 'unknown-type', 'the type is in a header field');

###############################################################################
# an endpoint of the store

$t->store_init->feed('orders');
my $key = $t->partner_key('acme', feeds => 'orders', publish => 'orders');
my ($name) = $t->endpoint('acme', url => $recv->url('/binary/own'),
    feeds => 'orders', secret => $SECRET, headers => '{"x-one":"1"}',
    body => 'binary');
my ($rc, undef, $err) = verify(undef, $name);
is($rc, 0, 'an endpoint is verified in its shape') or diag($err);
is((came('/binary/own'))[0]{headers}{'x-one'}, 1, 'with its header fields');
$t->ctl_ok(qw(endpoint change), $name, '--body=');
($rc) = verify(undef, $name, '--binary');
is($rc, 0, 'or in another one');
$t->ctl_ok(qw(endpoint change), $name, '--body=data',
    '--url=' . $recv->url('/data/own'));
($rc) = verify(undef, $name);
is($rc, 0, 'or as data only');
(undef, $report) = verify(undef, $name, '--thin');
is(scalar(grep { $_->{check} eq 'thin' } @{ $report->{checks} }), 1,
    'an option of whole events wins');

for my $args (['--binary', '--data-only'], ['--binary', '--thin'],
    ['--data-only', '--batch'], ['--binary', '--cloudevents'])
{
    ($rc, undef, $err) = $t->ctl('verify-integration', $name, @$args);
    is($rc, 2, "refused: @$args");
    like($err, qr/\Aeventsyncctl: "--binary" and [^\n]*exclude[^\n]*\n\z/,
        'in one line');
}

done_testing();
