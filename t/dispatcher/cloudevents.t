#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# A reader that nobody here wrote: the SDK of CloudEvents (npm) takes what the
# dispatcher sends in binary mode, and standardwebhooks verifies it.  The
# receiver that docs/receivers.md has for this mode works as well.

use warnings;
use strict;

use File::Path qw(make_path);
use JSON::PP;
use MIME::Base64 qw(encode_base64 decode_base64);
use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Webhooks;

my $t = webhook_store();
my $modules = $t->build . '/receivers/node_modules';
my @gone = grep { !-d "$modules/$_" } qw(cloudevents express standardwebhooks);
plan skip_all => "npm has not installed @gone: make receivers" if @gone;

my ($page) = do { local (@ARGV, $/) = 'docs/receivers.md'; <> }
    =~ /^## Binary mode.*?^```js\n(.*?)^```/ms;
my $coder = JSON::PP->new->canonical;

my $recv = $t->receiver(200);
my ($name, $secret) = $t->endpoint('acme', url => $recv->url,
    feeds => 'orders', start => 'oldest', body => 'binary');

# Their receiver.
my $port = Test::Eventsync::free_port();
make_path($t->testdir . '/page');
symlink $modules, $t->testdir . '/page/node_modules';
$t->write_file('page/receiver.mjs', $page);
my $url = "http://127.0.0.1:$port/hook";
my ($own, $own_secret) = $t->endpoint('acme', url => $url, feeds => 'orders',
    start => 'oldest', body => 'binary');
my $program = $t->start('receiver', { env => { PORT => $port,
    WEBHOOK_SECRET => $own_secret } }, 'sh', '-c',
    'cd "$1" && exec node receiver.mjs', 'sh', $t->testdir . '/page');
ok(wait_for(sub { Test::Eventsync::port_open($port) }, 60),
    'the receiver of the page starts') or diag($program->stderr);

my $start = '{"specversion":"1.0","source":"/s","type":"t","time":'
    . '"2026-11-30T12:00:00.123Z","id":';
my @events = ('"e1","data":{"a":[1,2.5],"b":"\\u00e9"}}',
    '"e2","subject":"\\u20ac \\"1%\\" \\\\","n":-5,"b":true,"empty":""}',
    '"e3","datacontenttype":"text/plain","data":"\\u00e9\\n"}',
    '"e4","datacontenttype":"application/xml","data":"<a/>"}',
    '"e5","datacontenttype":"a/b","data_base64":"eyAieHl6IjogMTIzIH0="}',
    '"e6","data_base64":"eyAieHl6IjogMTIzIH0="}',
    '"e7","datacontenttype":"application/json","data":"text"}');
$t->ctl_ok({ stdin => join '', map { "$start$_\n" } @events }, 'publish',
    'orders');
my @stored = map { $coder->utf8->decode($_) } stored($t, 'orders');
$t->run_dispatcher;
my @sent = $recv->wait_for(scalar @events);
is(scalar @sent, scalar @events, 'all are sent');

$t->write_file('requests', join '', map { JSON::PP->new->ascii->encode({
    secret => $secret, headers => $_->{headers},
    body => encode_base64($_->{body}, '') }) . "\n" } @sent);
my @said = map { $coder->utf8->decode($_) } split /\n/,
    qx(NODE_PATH=$modules node t/node/cloudevents.js <@{[$t->testdir]}/requests);

# The SDK leaves the values encoded, and hands out data that is not JSON as its
# bytes.
for my $i (0 .. $#events) {
    my ($got, $stored) = ($said[$i]{event}, $stored[$i]);
    my $id = $stored->{id};
    is($said[$i]{verified}, JSON::PP::true, "$id: is verified");
    my $data = delete $got->{data_base64};
    if (defined $data && !defined $stored->{data_base64}) {
        $got->{data} = $coder->utf8(0)->decode('["' . join('', map {
            sprintf '\\u%04x', ord } split //, do { my $d = decode_base64($data);
            utf8::decode($d); $d }) . '"]')->[0];
        delete $got->{data} if $data eq '';
    } elsif (defined $data) {
        delete $got->{data};
        $got->{data_base64} = $data;
    }
    for my $attr (keys %$got) {
        next if ref $got->{$attr} || $attr =~ /^data/;
        $got->{$attr} =~ s/%([0-9A-F]{2})/chr hex $1/ge;
        utf8::decode($got->{$attr});
    }
    $stored->{datacontenttype} //= 'application/json' if $id eq 'e1';
    $stored->{$_} = "$stored->{$_}" for grep { !ref $stored->{$_} }
        keys %$stored;
    $stored->{b} = 'true' if $stored->{b};
    is_deeply($got, $stored, '... is the event that was stored');
}

my @lines;
ok(wait_for(sub { @lines = split /\n/,
    $t->read_file('page/events.ndjson') // ''; @lines >= @events }),
    'the receiver of the page takes each') or diag($program->stderr);
is_deeply([map { decode_base64($coder->utf8->decode($_)->{data}) } @lines],
    [map { $_->{body} } @sent], '... and its data');
is($coder->utf8->decode($lines[1])->{headers}{'ce-subject'},
    "\x{20ac} \"1%\" \\", '... and its attributes');
is_deeply([grep { $_->{class} ne 'ok' } attempts($t, $own)], [],
    '... at the first attempt');
my ($rc, $out) = $t->ctl('verify-integration', '--binary', "--url=$url",
    "--secret=$own_secret");
is($rc, 0, '... and passes verify-integration') or diag($out);
is($t->stop_dispatcher, 0, 'stop');

done_testing();
