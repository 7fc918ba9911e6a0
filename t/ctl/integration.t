#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# eventsyncctl verify-integration: which receivers pass, and at which checks
# others fail.

use warnings;
use strict;

use Digest::SHA qw(hmac_sha256_base64);
use JSON::PP;
use MIME::Base64 qw(decode_base64);
use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);

my $SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
my @GOOD = qw(valid repeated several-signatures spelling characters line-end
    unknown-type unknown-attributes large thin batch);
my @BAD = qw(wrong-signature no-signature tampered-body old-timestamp
    future-timestamp);
my $t = Test::Eventsync->new;
my %seen;

# Answers as a right one does, but for one mistake, which the path names.
sub answer {
    my ($r) = @_;
    my ($no) = $r->{path} =~ /(\w+)$/;
    my ($id, $at, $signature) = map { $r->{headers}{"webhook-$_"} }
        qw(id timestamp signature);
    return 200 if $no eq 'anything';
    return $r->{method} ne 'OPTIONS' ? 204 : { headers =>
        { 'WebHook-Allowed-Origin' => 'Events.Example' } } if $no eq 'allows';
    return { body => encode_json({ challenge => decode_json($r->{body})
        ->{data}{challenge} }) } if $no eq 'proves' && $r->{body};
    return { hang => 1 } if $no eq 'hangs';
    return { status => 302, headers => { Location => '/anything' } }
        if $no eq 'redirects';
    return 401 unless defined $signature;
    my $mac = hmac_sha256_base64("$id.$at."
        . ($no eq 'body' ? '' : $r->{body}), decode_base64(substr $SECRET, 6));
    $mac .= '=' while length($mac) % 4;
    my @tokens = split / /, $signature;
    splice @tokens, 1 if $no eq 'first';
    return 401 unless $no eq 'signature' || grep { $_ eq "v1,$mac" } @tokens;
    return 400 if $no ne 'time' && abs($at - time) > 300;
    return 413 if $no eq 'small' && length $r->{body} > 65536;
    my $body = decode_json($r->{body});
    return 422 if $no eq 'single' && ref $body eq 'ARRAY';
    my @events = ref $body eq 'ARRAY' ? @$body : $body;
    return 409 if $no eq 'repeats' && $seen{$id}++;
    return 500 if $no eq 'types'
        && grep { $_->{type} ne 'eventsync.test' } @events;
    return 400 if $no eq 'attributes' && grep { $_->{testnote} } @events;
    return 400 if $no eq 'data' && grep { !$_->{data} } @events;
    return 204;
}

my $recv = $t->receiver(\&answer);

# Exit status, and the names of the checks that failed.
sub verify {
    my (@args) = @_;
    my ($rc, $out, $err) = $t->ctl('verify-integration', @args, '--json');
    my $report = decode_json($out);
    return ($rc, $report, $err);
}

sub failed { join ' ', map { $_->{check} } grep { !$_->{pass} }
    @{ $_[0]{checks} } }

sub at { my ($path) = @_; ('--url=' . $recv->url("/$path"),
    "--secret=$SECRET") }

###############################################################################
# eventsyncctl listen passes

my $port = $t->port(1);
my $listen = $t->ctl_start('listen', "--port=$port", "--secret=$SECRET");
ok(wait_for(sub { Test::Eventsync::port_open($port) }), 'listen starts')
    or diag($listen->stderr);
my ($rc, $out, $err) = $t->ctl('verify-integration', '--thin', '--batch',
    "--url=http://127.0.0.1:$port/", "--secret=$SECRET");
is($rc, 0, 'listen passes');
is($err, '', 'without a complaint');
my %said = $out =~ /^pass (\S+)\s+expected (\dxx, came \d+)$/mg;
is_deeply(\%said, { (map { $_ => '2xx, came 204' } @GOOD),
    (map { $_ => /timestamp|no-/ ? '4xx, came 400' : '4xx, came 401' } @BAD) },
    'a line for each check');
like($out, qr/^16 of 16 passed, the slowest took \d+ ms\n\z/m, 'and the sum');
is($listen->stop('TERM'), 0, 'listen ends');
is($listen->stdout =~ s/^test\n//gmr, "report    refused=5\n",
    'it processes none of them');

###############################################################################
# what is sent

my $report;
($rc, $report, $err) = verify(at('right'), '--thin', '--batch');
is($rc, 0, 'a right receiver passes');
ok($report->{pass} && $report->{checks_passed} == 16
    && $report->{checks_failed} == 0 && $report->{url} eq $recv->url('/right')
    && $report->{slowest_ms} >= 0, 'the report as JSON');
my @sent = grep { $_->{path} eq '/right' } $recv->requests;
is_deeply([map { $_->{headers}{'webhook-id'} } @sent],
    [map { $_->{id} } @{ $report->{checks} }], 'ids are in the report');
my %events = map { $report->{checks}[$_]{check} => decode_json($sent[$_]{body})
    } 0 .. $#sent;
is($sent[0]{headers}{'content-type'}, 'application/json',
    'an event\'s type');
is($sent[-1]{headers}{'content-type'}, 'application/json',
    'a batch\'s');
is($events{repeated}{id}, $events{valid}{id}, 'the same event again');
my @all = map { ref $_ eq 'ARRAY' ? @$_ : $_ } values %events;
is_deeply([grep { $_->{source} ne '/eventsync' || $_->{sequence}
    || $_->{type} !~ /^eventsync\.test/ || $_->{id} !~ /^test-/
    || $_->{specversion} ne '1.0' || $_->{time} !~ /Z$/ } @all], [],
    'all are recognisable as tests');
ok(!exists $events{thin}{data} && @{ $events{batch} } == 2
    && $events{batch}[0]{id} ne $events{batch}[1]{id}
    && length $events{large}{data}{filler} == 200 * 1024, 'their forms');

($rc, $report) = verify(at('right'), '--cloudevents', '--batch');
my @typed = map { $_->{headers}{'content-type'} } $recv->requests;
is_deeply([@typed[-2, -1]], ['application/cloudevents+json',
    'application/cloudevents-batch+json'], 'the types of CloudEvents');

($rc, $report) = verify(at('right'));
is(scalar @{ $report->{checks} }, 14, 'thin and batch only when asked for');

###############################################################################
# agreement

sub agreement {
    my ($path, $name) = @_;
    my (undef, $report) = verify(at($path), "--agreement=$name");
    my ($check) = grep { $_->{check} eq 'agreement' } @{ $report->{checks} };
    return ($check->{pass} ? 'pass ' : 'fail ') . $check->{came};
}
is(agreement('allows', 'events.example'), 'pass 200',
    'a handshake that is allowed agrees');
is(agreement('allows', 'other.example'),
    'fail only "Events.Example" is allowed', 'one of another sender does not');
is(agreement('proves', 'events.example'), 'pass 200',
    'a challenge that is repeated agrees');
is(agreement('right', 'events.example'), 'fail 204, without the challenge',
    'one that is only taken does not');
my ($hello, $challenge) = (grep { $_->{path} eq '/right' } $recv->requests)
    [-2, -1];
is("$hello->{method} $hello->{headers}{'webhook-request-origin'}"
    . " $hello->{body}", 'OPTIONS events.example ', 'what a handshake is');
is(decode_json($challenge->{body})->{type}, 'eventsync.challenge',
    'and a challenge');

###############################################################################
# naive receivers

for ([anything => "@BAD"],
    [signature => 'wrong-signature tampered-body'],
    [time => 'old-timestamp future-timestamp'],
    [first => 'several-signatures'],
    [small => 'large'],
    [single => 'batch'],
    [repeats => 'repeated'],
    [types => 'unknown-type'],
    [attributes => 'unknown-attributes'],
    [data => 'thin'],
    [body => "@GOOD[0, 1] @BAD @GOOD[2 .. $#GOOD]"])
{
    my ($path, $expected) = @$_;
    ($rc, $report, $err) = verify(at($path), '--thin', '--batch');
    is(failed($report), $expected, "a receiver that is wrong: $path");
    is($rc, 1, 'does not pass');
    my $n = () = $expected =~ /\S+/g;
    is(decode_json($err)->{detail}, "$n of 16 checks failed", 'and says so');
}

($rc, $report) = verify(at('redirects'));
is($report->{checks}[0]{came}, '302 to /anything', 'redirects are not followed');
is($rc, 1, 'and fail');
($rc, $report) = verify(at('hangs'), '--timeout=20ms');
is(failed($report), join(' ', map { $_->{check} } @{ $report->{checks} }),
    'who does not answer fails everywhere');
is($report->{checks}[0]{came}, 'no answer in 20 ms', 'in time');
($rc, $report) = verify('--url=http://127.0.0.1:'
    . Test::Eventsync::free_port() . '/', "--secret=$SECRET");
like($report->{checks}[0]{came}, qr/^no answer: \w/, 'nobody there');
is($rc, 1, 'fails');

###############################################################################
# an endpoint of the store

$t->store_init->feed('orders');
$t->partner_key('acme', feeds => 'orders', publish => 'orders');
my ($name) = $t->endpoint('acme', url => $recv->url('/own'), feeds => 'orders',
    secret => $SECRET, headers => '{"x-one":"1","x-two":"2"}', batch => 5,
    body => 'thin');
($rc, $report, $err) = verify($name);
is($rc, 0, 'an endpoint is verified by its name') or diag($err);
is(scalar @{ $report->{checks} }, 16, 'in the forms that it has');
my ($own) = grep { $_->{path} eq '/own' } $recv->requests;
is("$own->{headers}{'x-one'} $own->{headers}{'x-two'}", '1 2',
    'with its header fields');
($rc, $out, $err) = $t->ctl('verify-integration', 'ep_no');
is($rc, 1, 'no such endpoint');
like($err, qr/\Aeventsyncctl: no endpoint "ep_no"\n\z/, 'is told');

###############################################################################
# mistakes

for (['either ENDPOINT or'],
    ['either ENDPOINT or', '--url=http://127.0.0.1/'],
    ['either ENDPOINT or', $name, '--url=http://127.0.0.1/'],
    ['"--secret" is not', '--url=http://127.0.0.1/', '--secret=x'],
    ['"--url=x" is not', '--url=x', "--secret=$SECRET"],
    ['"--timeout=x" is not', at('right'), '--timeout=x'])
{
    my ($line, @args) = @$_;
    ($rc, undef, $err) = $t->ctl('verify-integration', @args);
    is($rc, 2, "refused: @args");
    like($err, qr/\Aeventsyncctl: $line[^\n]*\n\z/, 'in one line');
}

done_testing();
