#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Requests that are not whole events: CloudEvents' binary mode, and data only.

use warnings;
use strict;

use MIME::Base64 qw(decode_base64);
use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Webhooks;

my $t = webhook_store();
$t->feed($_) for qw(many long);
my $bad = $t->testdir . '/bad';
my $recv = $t->receiver(sub { -e $bad ? 500 : 200 });
my $epoch = Test::Eventsync::json($t->ctl_ok(qw(feed show orders)))->{epoch};

sub endpoint {
    my ($path, %opts) = @_;
    my ($rc, $out, $err) = $t->ctl(qw(endpoint create acme),
        Test::Eventsync::flags(url => $recv->url($path), feeds => 'orders',
            start => 'oldest', %opts));
    my ($name, $secret) = $out =~ /^(ep_\S+) (whsec_\S+)/;
    return wantarray ? ($name, $secret, $err) : $name;
}
sub came { my ($path) = @_; grep { $_->{path} eq $path } $recv->requests }
sub publish { my ($feed, @json) = @_;
    $t->ctl_ok({ stdin => join '', map { "$_\n" } @json }, 'publish', $feed) }
sub attrs { my ($r) = @_;
    return map { /^ce-(.+)/ ? ($1 => $r->{headers}{$_}) : () }
        keys %{ $r->{headers} } }

# The documented encoding, computed here from the stored event.
sub encoded {
    my ($value) = @_;
    $value = $value ? 'true' : 'false' if JSON::PP::is_bool($value);
    utf8::encode($value);
    $value =~ s/([^\x21-\x7e]|["%])/sprintf '%%%02X', ord $1/ge;
    return $value;
}

###############################################################################
# each kind of data

my $start = '{"specversion":"1.0","source":"/s","type":"t","id":';
my @cases = (
    ['e1', ',"data":{ "a" :1.50,"b":"\\u00e9\\/"}', 'application/json',
        '{ "a" :1.50,"b":"\\u00e9\\/"}', 'JSON keeps its bytes'],
    ['e2', ',"datacontenttype":"application/vnd.x+json; v=1","data":"text"',
        'application/vnd.x+json; v=1', '"text"', 'a string that is JSON'],
    ['e3', ',"datacontenttype":"text/plain; charset=utf-8","data":'
        . '"\\u00e9\\n\\u0000"', 'text/plain; charset=utf-8', "\xc3\xa9\n\0",
        'a string that is text'],
    ['e4', ',"datacontenttype":"image/png","data_base64":"AAECwyg="',
        'image/png', "\0\1\2\xc3(", 'bytes'],
    ['e5', ',"data_base64":"eyAieHl6IjogMTIzIH0="', undef, '{ "xyz": 123 }',
        'bytes without a type'],
    ['e6', ',"subject":"\\u20ac \\"100%\\" \\\\","empty":"","n":-5,"b":true,'
        . '"traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331'
        . '-01","dataschema":"http://a/b?c#d"', undef, '', 'no data'],
    ['e7', ',"datacontenttype":"application/json"', undef, '',
        'a type without data'],
    ['e8', ',"data":null', 'application/json', 'null', 'null'],
);
publish('orders', map { "$start\"$_->[0]\"$_->[1]}" } @cases);
my @whole = map { Test::Eventsync::json($_) } stored($t, 'orders');

my ($binary, $secret, $said) = endpoint('/binary', body => 'binary');
like($said, qr/^eventsyncctl: note: .* not signed/m,
    'the command says that attributes are not signed');
unlike($said, qr/missing/, '... and no more');
(my $data, my $data_secret, $said) = endpoint('/data', body => 'data');
like($said, qr/^eventsyncctl: note: .* cannot prove that none is missing/m,
    'the command says that gaps cannot be proven');
is(Test::Eventsync::json($t->ctl_ok(qw(endpoint show), $data))->{body}, 'data',
    'the record has it');
$t->run_dispatcher;
ok(wait_for(sub { came('/binary') == @cases && came('/data') == @cases }),
    'all come');

for my $i (0 .. $#cases) {
    my ($id, undef, $type, $body, $name) = @{ $cases[$i] };
    my ($bin, $dat) = map { (came($_))[$i] } '/binary', '/data';
    my %event = %{ $whole[$i] };
    delete @event{qw(data data_base64 datacontenttype)};
    is_deeply({ attrs($bin) }, { map { $_ => encoded($event{$_}) } keys %event },
        "$name: binary mode has all attributes");
    is_deeply([attrs($dat)], [], '... and data only has none');
    for ([$bin, $secret], [$dat, $data_secret]) {
        my ($r, $key) = @$_;
        is($r->{body}, $body, '... the data');
        is($r->{headers}{'content-type'}, $type, '... its type');
        ok(signature_ok($r, $key), '... signed as it is sent');
        is($r->{headers}{'webhook-id'}, $id, '... under its id');
        is($r->{headers}{'eventsync-feed'}, 'orders', '... of its feed');
    }
}
like((came('/data'))[5]{headers}{traceparent}, qr/^00-0af7651916cd43dd8448/,
    'the trace context is sent as ever');

###############################################################################
# whatever sends an event

$t->ctl_ok(qw(endpoint remove), $data);
my %name = map { $_ => scalar endpoint("/$_", body => $_, types => 'a',
    start => 'latest', schedule => '0,10ms') } qw(binary data);
$t->ctl_ok(qw(endpoint remove), $binary);
ok(wait_for(sub { 2 == grep { ($_->{behind} // '') eq '0' }
    map { status_lines($t, $_) } values %name }), 'endpoints with a filter');
my %n = map { $_ => scalar came("/$_") } keys %name;
my @body = map { "{\"n\":$_}" } 1 .. 4;
publish('orders', map { sprintf '%s"f%d","data":%s}',
    $start =~ s/"t"/$_ % 2 ? '"a"' : '"b"'/er, $_, $body[$_ - 1] } 1 .. 4);
ok(wait_for(sub { came('/binary') == $n{binary} + 2
    && came('/data') == $n{data} + 2 }), 'events that match');
is((came('/binary'))[-1]{headers}{'ce-prevcursor'}, "$epoch-9",
    'prevcursor is the event before that was sent');
is_deeply([map { $_->{body} } (came('/data'))[-2, -1]], [@body[0, 2]],
    'their data');

# Does something, and returns the requests of each that come then.
sub after {
    my ($why, $n, $do) = @_;
    %n = map { $_ => scalar came("/$_") } keys %name;
    $do->($_) for values %name;
    ok(wait_for(sub { came('/binary') == $n{binary} + $n
        && came('/data') == $n{data} + $n }), $why);
    return map { [(came("/$_"))[-$n .. -1]] } qw(binary data);
}

my ($bin, $dat) = after('a resend', 1, sub {
    $t->ctl_ok(qw(endpoint resend), $_[0], 'orders', "$epoch-9") });
is($bin->[0]{headers}{'ce-sequence'}, sprintf('%020d', 9), '... of the event');
is($bin->[0]{body} . $dat->[0]{body}, $body[0] x 2, '... of its data');
($bin, $dat) = after('a replay', 2, sub {
    $t->ctl_ok(qw(endpoint replay), $_[0], 'orders', "--after=$epoch-8") });
is($bin->[1]{headers}{'ce-prevcursor'}, "$epoch-9", '... of the events');
is($dat->[1]{body}, $body[2], '... of their data');

$t->write_file('bad', '');
($bin, $dat) = after('an event that fails', 2, sub {
    publish('orders', $start =~ s/"t"/"a"/r . '"g1","data":"dead"}')
        if $_[0] eq $name{data} });
is_deeply([map { $_->{headers}{'eventsync-attempt'} } @$bin, @$dat], [1, 2, 1, 2],
    '... is tried again');
is(join('', map { $_->{body} } @$bin, @$dat), '"dead"' x 4, '... as it was');
ok(wait_for(sub { 2 == grep { dead($t, $_) == 1 } values %name }),
    '... and is a dead letter');
unlink $bad;
($bin, $dat) = after('a redrive', 1,
    sub { $t->ctl_ok(qw(endpoint redrive), $_[0]) });
is($bin->[0]{headers}{'ce-id'} . $dat->[0]{body}, 'g1"dead"', '... sends it');

($bin, $dat) = after('a test event', 1,
    sub { $t->ctl_ok(qw(endpoint test), $_[0], '--data={"x":[1]}') });
is($bin->[0]{headers}{'ce-type'}, 'eventsync.test', '... in binary mode');
is($bin->[0]{headers}{'ce-cursor'}, undef, '... of no feed');
is($dat->[0]{body}, '{"x":[1]}', '... as data only');
like($dat->[0]{headers}{'webhook-id'}, qr/^test-/, '... which its id tells');

$t->ctl_ok(qw(endpoint change), $_, '--nudge=1') for values %name;
($bin, $dat) = after('a nudge', 1, sub {
    $t->ctl_ok(qw(endpoint replay), $_[0], 'orders', "--after=$epoch-8") });
my $nudge = $bin->[0]{headers};
is("$nudge->{'ce-type'} $nudge->{'ce-subject'}", 'feed.poll orders',
    '... in binary mode');
is(Test::Eventsync::json($_->[0]{body})->{after}, "$epoch-8",
    '... with the place to poll from') for $bin, $dat;
like($dat->[0]{headers}{'webhook-id'}, qr/^nudge-/, '... which its id tells');
$t->ctl_ok(qw(endpoint change), $_, '--nudge=') for values %name;

for my $failure (qw(truncate reset)) {
    $t->ctl_ok(qw(endpoint simulate), $_, "--failure=$failure")
        for values %name;
    my %before = map { $_ => scalar attempts($t, $name{$_}) } keys %name;
    publish('orders', $start =~ s/"t"/"a"/r . "\"$failure\"}");
    ok(wait_for(sub { 2 == grep { dead($t, $_) } values %name }),
        "a simulated $failure of an empty body");
    is_deeply([map { "$_->{status} $_->{class}" } map {
        (attempts($t, $name{$_}))[$before{$_} .. $before{$_} + 1] } keys %name],
        [('0 reset') x 4], '... is one');
    $t->ctl_ok(qw(endpoint simulate), $_, '--failure=none') for values %name;
    after('... and a redrive', 1,
        sub { $t->ctl_ok(qw(endpoint redrive), $_[0]) });
}

$t->ctl_ok(qw(endpoint rotate), $_, '--kind=v1a') for values %name;
($bin, $dat) = after('more to a key pair', 1, sub {
    publish('orders', $start =~ s/"t"/"a"/r . '"h1","data":[1]}')
        if $_[0] eq $name{data} });
for ([$bin, 'binary'], [$dat, 'data']) {
    my ($x) = map { $_->{x} } @{ Test::Eventsync::json(
        $t->ctl_ok(qw(endpoint keys), $name{ $_->[1] }))->{keys} };
    ok(v1a_ok($t, $_->[0][0], $x), "... signed by v1a, $_->[1]");
}

# Back to whole events with the same sends.
$t->ctl_ok(qw(endpoint change), $_, '--body=whole') for values %name;
($bin, $dat) = after('whole events again', 1, sub {
    $t->ctl_ok(qw(endpoint resend), $_[0], 'orders', "$epoch-9") });
is_deeply([map { attrs($_->[0]) } $bin, $dat], [], '... without attributes');
is($_->[0]{headers}{'content-type'}, 'application/json', '... in JSON')
    for $bin, $dat;
$t->ctl_ok(qw(endpoint remove), $_) for values %name;

###############################################################################
# operational events

$t->feed('ops');
$t->ctl_ok(qw(partner change acme --operations=ops));
my $gone = $t->receiver(410);
my $stops = $t->endpoint('acme', url => $gone->url, feeds => 'orders',
    start => 'oldest');
endpoint('/ops', feeds => 'ops', body => 'binary');
ok(wait_for(sub { came('/ops') >= 1 }), 'an operational event');
is((came('/ops'))[0]{headers}{'ce-type'}, 'endpoint.disabled',
    '... in binary mode');
is(Test::Eventsync::json((came('/ops'))[0]{body})->{endpoint}, $stops,
    '... with its data');
is($t->stop_dispatcher, 0, 'stop');

###############################################################################
# an agreement

$t->feed('agreed');
for my $body (qw(binary data)) {
    my $agreeing = $t->receiver(sub {
        my ($r) = @_;
        return 405 if $r->{method} eq 'OPTIONS';
        return 200 if $r->{body} !~ /"challenge":"([^"]+)"/;
        return { status => 200, body => "{\"challenge\":\"$1\"}" };
    });
    my $name = $t->endpoint('acme', url => $agreeing->url, feeds => 'agreed',
        start => 'oldest', body => $body);
    publish('agreed', $start . '"i1","data":[2]}') if $body eq 'binary';
    $t->run_dispatcher('--verify-endpoints=all');
    my ($challenge, $event) = grep { $_->{method} eq 'POST' }
        $agreeing->wait_for(3);
    is($event->{body}, '[2]', "$body: a challenge is agreed to");
    is($challenge->{headers}{'ce-type'}, $body eq 'binary'
        ? 'eventsync.challenge' : undef, '... in that shape');
    like($challenge->{headers}{'webhook-id'}, qr/^check-/, '... with its id');
    is($t->stop_dispatcher, 0, 'stop');
}

###############################################################################
# more header fields than a receiver takes

my $limited = $t->receiver(sub {
    my ($r) = @_;
    my $bytes = 0;
    $bytes += length("$_: $r->{headers}{$_}\r\n") for keys %{ $r->{headers} };
    return $bytes > 16384 ? 431 : 200;
});
my $long = '"' . '\\u00fc' x 512 . '"';
publish('long', $start . '"small"}',
    $start . '"large"' . join('', map { ",\"x$_\":$long" } 1 .. 7) . '}',
    $start . '"largest","subject":' . $long . ',"dataschema":"http://a/'
        . 'b' x 1015 . '"' . join('', map { ',"' . 'x' x 126
        . sprintf('%02d":%s', $_, $long) } 1 .. 20) . '}',
    $start . '"after"}');
my $narrow = $t->endpoint('acme', url => $limited->url, feeds => 'long',
    start => 'oldest', body => 'binary', schedule => '0,10ms');
my $wide = endpoint('/wide', feeds => 'long', body => 'binary');

my $dir = $t->testdir;
certificate($t);
$t->write_file_expand('nginx.conf', <<'CONF');
events { }
http {
    log_format who '$server_protocol $status $request_length $http_webhook_id';
    access_log %%TESTDIR%%/who.log who;
    ssl_certificate %%TESTDIR%%/cert.pem;
    ssl_certificate_key %%TESTDIR%%/key.pem;
    large_client_header_buffers 30 16k;
    server {
        listen 127.0.0.1:%%PORT_0%% ssl http2;
        return 204;
    }
}
CONF
$t->run_nginx;
my $http2 = $t->endpoint('acme', url => 'https://127.0.0.1:' . $t->port(0)
    . '/', feeds => 'long', start => 'oldest', body => 'binary');
sub seen { map { [split] } split /\n/, $t->read_file('who.log') }
$t->run_dispatcher("--ca-file=$dir/cert.pem");
ok(wait_for(sub { came('/wide') == 4 }), 'long attributes are sent');
is(length((came('/wide'))[2]{headers}{'ce-' . 'x' x 126 . '07'}), 3072,
    '... and not cut');
ok(wait_for(sub { 2 == grep { $_->{headers}{'webhook-id'} =~ /^after|small/ }
    $limited->requests }), 'a receiver that takes 16 KB gets the others');
is_deeply([sort map { "$_->{status} $_->{attempts}" } dead($t, $narrow)],
    ['431 2', '431 2'], '... and what it refuses is a dead letter');
ok(wait_for(sub { seen() == 4 }), 'by HTTP/2 they come, too');
is_deeply([map { "$_->[3] $_->[0] $_->[1]" } seen()], ['small HTTP/2.0 204',
    'large HTTP/2.0 204', 'largest HTTP/1.1 204', 'after HTTP/2.0 204'],
    '... except by HTTP/1.1 what libcurl cannot send by HTTP/2');
cmp_ok((map { $_->[2] } seen())[2], '>', 65536, '... for its length');

is($t->stop_dispatcher, 0, 'stop');
ok($t->verify, 'verify');

###############################################################################
# what cannot be together

my $some = $t->endpoint('acme', url => $recv->url('/some'), feeds => 'orders');
for (['batch=2', 'body=binary', '/batch'], ['batch=2', 'body=data', '/batch'],
    ['content-type=application/json', 'body=binary', '/content_type'],
    ['content-type=application/cloudevents+json', 'body=data',
        '/content_type'],
    ['headers={"X-A":"1","CE-Id":"2"}', 'body=binary', '/headers/CE-Id'])
{
    my ($one, $other, $pointer) = @$_;
    my @one = '--' . $one;
    if ($one =~ s/^headers=//) {
        $t->write_file('headers', $one);
        chmod 0600, "$dir/headers";
        @one = "--headers=\@$dir/headers";
    }
    my @ways = ([[], [@one, "--$other"]], [\@one, ["--$other"]],
        [["--$other"], \@one]);
    for my $way (@ways) {
        my ($before, $then) = @$way;
        $t->ctl_ok(qw(endpoint change), $some, '--body=', '--batch=',
            '--content-type=', '--headers=', '--url=' . $recv->url('/some'));
        $t->ctl_ok(qw(endpoint change), $some, @$before) if @$before;
        my $was = $t->ctl_ok(qw(endpoint show), $some);
        my ($rc, undef, $err) = $t->ctl(qw(endpoint change), $some, @$then);
        is($rc, 1, "@$before, then @$then: refused");
        like($err, qr/\Q$pointer\E: .*"body" "binary"/, '... with the pointer');
        unlike($err, qr/note/, '... and no note');
        is($t->ctl_ok(qw(endpoint show), $some), $was, '... and not applied');
    }
    my ($rc, undef, $err) = $t->ctl(qw(endpoint create acme --url=http://a/
        --feeds=orders), @one, "--$other");
    is($rc, 1, "a new endpoint: refused");
    like($err, qr/\Q$pointer\E: /, '... with the pointer');
}
$t->ctl_ok(qw(endpoint change), $some, '--body=data',
    "--headers=\@$dir/headers");
$t->ctl_ok(qw(endpoint change), $some, '--body=binary', '--headers=',
    '--batch=1');

done_testing();
