#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Directives: what nginx -t says to mistakes, and how they are inherited.

use warnings;
use strict;

use Test::More;
use Time::HiRes qw(sleep);

use lib 't/lib';
use Test::Eventsync qw(wait_for);

my $t = Test::Eventsync->new;
$t->store_init->feed('orders');

# A configuration whose fifth line is the one in question.
sub conf {
    my ($line, %opts) = @_;

    return <<"CONF";
@{[ $opts{main} // '' ]}
events { }
http {
    @{[ $opts{http} // 'eventsync_store %%STORE%%;' ]}
    $line
    server {
        listen 127.0.0.1:%%PORT_0%%;
        @{[ $opts{server} // '' ]}
        location /v1/ {
            eventsync_poll on;
            @{[ $opts{location} // '' ]}
        }
    }
}
CONF
}

sub refused {
    my ($conf, $message, $name, $line) = @_;

    my ($rc, $out) = $t->check_conf($conf);
    isnt($rc, 0, "$name: refused");
    like($out, qr/\[emerg\].*$message/, "$name: says why");
    like($out, qr/check\.conf:$line\b/, "$name: says where") if $line;
}

sub accepted {
    my ($conf, $name) = @_;

    my ($rc, $out) = $t->check_conf($conf);
    is($rc, 0, $name) or diag($out);
}

accepted(conf(''), 'the least');
accepted(conf('', location => 'eventsync_publish on; eventsync_feeds on;'),
    'all handlers');

###############################################################################
# eventsync_store

refused(conf('', http => ''), 'no "eventsync_store" is defined for location "/v1/"',
    'no store');
refused(conf('', http => 'eventsync_store %%TESTDIR%%/none;'),
    '"[^"]*/none" cannot be used', 'no such directory', 4);
mkdir $t->testdir . '/void';
refused(conf('', http => 'eventsync_store %%TESTDIR%%/void;'),
    '"[^"]*/void" cannot be used', 'not a store', 4);
mkdir $t->testdir . '/newer';
$t->write_file('newer/format', "eventsync 99\n");
refused(conf('', http => 'eventsync_store %%TESTDIR%%/newer;'),
    '"[^"]*/newer" cannot be used', 'another version', 4);
$t->write_file('file', '');
refused(conf('', http => 'eventsync_store %%TESTDIR%%/file;'),
    '"[^"]*/file" cannot be used', 'a file', 4);
refused(conf('eventsync_store %%STORE%%;'),
    '"eventsync_store" directive is duplicate', 'twice', 5);
refused(conf('', http => 'eventsync_store;'), 'invalid number of arguments',
    'without a path', 4);
refused(conf('', http => 'eventsync_store %%STORE%% size=1m;'),
    'invalid parameter "size=1m"', 'another parameter', 4);
refused(conf('', http => 'eventsync_store %%STORE%% zone_size=big;'),
    'invalid zone size "zone_size=big"', 'a size that is none', 4);
refused(conf('', http => 'eventsync_store %%STORE%% zone_size=63k;'),
    'is too small', 'a size that is too small', 4);
refused(conf('', server => 'eventsync_store %%STORE%% zone_size=2m;'),
    'conflicts with already declared size', 'another size', 8);
refused(conf('', location => 'eventsync_store %%STORE%%;'),
    'is not allowed here', 'in a location', 11);

accepted(conf('', http => 'eventsync_store store;'),
    'relative to the prefix');
accepted(conf('', http => '', server => 'eventsync_store %%STORE%%;'),
    'in a server');
accepted(conf('', server => 'eventsync_store %%STORE%%;'),
    'the same one again in a server');
refused(conf('', http => 'eventsync_store %%STORE%% pages_size=big;'),
    'invalid pages size "pages_size=big"', 'a size of pages that is none', 4);
refused(conf('', http => 'eventsync_store %%STORE%% pages_size=1023k;'),
    'pages size of "[^"]*" is too small, the minimum is 1048576 bytes', 'a size of pages that is too small', 4);
refused(conf('', server => 'eventsync_store %%STORE%% pages_size=2m;'),
    'the pages size 2097152 of "[^"]*" conflicts with already declared size '
    . '268435456', 'another size of pages, and its default', 8);
accepted(conf('', http => 'eventsync_store %%STORE%% pages_size=1m'
    . ' zone_size=2m;', location => 'eventsync_pages on;'), 'with both sizes');
accepted(conf('', http => 'eventsync_store %%STORE%% zone_size=2m;'),
    'with a size');

###############################################################################
# eventsync_dashboard, eventsync_operator

accepted(conf('', location => "eventsync_dashboard $_; eventsync_operator on;"),
    "eventsync_dashboard $_") for qw(on operator off);
refused(conf('', location => 'eventsync_dashboard all;'), 'invalid value "all"',
    'another page', 11);
refused(conf('', location => 'eventsync_operator operator;'),
    'invalid value "operator" in "eventsync_operator" directive', 'a switch', 11);

###############################################################################
# eventsync_health, eventsync_metrics

accepted(conf("eventsync_ready_dispatcher $_;", location => 'eventsync_health on;'
    . ' eventsync_metrics endpoints;'), "eventsync_ready_dispatcher $_")
    for '5s', '1m', '5000ms', 'off';
refused(conf("eventsync_ready_dispatcher $_;"), "invalid time \"$_\", it must be "
    . 'at least 5 seconds', "eventsync_ready_dispatcher $_", 5) for '0', '4999ms', '4s';
refused(conf('eventsync_ready_dispatcher soon;'), 'invalid time "soon"',
    'a time that is none', 5);
refused(conf('eventsync_ready_dispatcher 9s; eventsync_ready_dispatcher off;'),
    '"eventsync_ready_dispatcher" directive is duplicate', 'twice', 5);
accepted(conf('', location => "eventsync_metrics endpoints=$_;"), "$_ endpoints")
    for 1, 100000;
refused(conf('', location => "eventsync_metrics endpoints=$_;"),
    "invalid number of endpoints in \"endpoints=$_\", it must be from 1 to 100000",
    "\"$_\" endpoints", 11) for 0, 100001, -1, 'x', '', '1k';
refused(conf('', location => 'eventsync_metrics endpointsx;'),
    'invalid value "endpointsx"', 'endpointsx', 11);
refused(conf('', location => 'eventsync_metrics endpoints=5; eventsync_metrics on;'),
    '"eventsync_metrics" directive is duplicate', 'twice', 11);
refused(conf('', location => 'eventsync_metrics on; eventsync_metrics endpoints=5;'),
    '"eventsync_metrics" directive is duplicate', 'twice', 11);
refused(conf('', location => 'eventsync_metrics all;'), 'invalid value "all"',
    'a level that is none', 11);
refused(conf('', location => 'eventsync_metrics on; eventsync_metrics off;'),
    '"eventsync_metrics" directive is duplicate', 'twice', 11);
refused(conf('', location => 'eventsync_health yes;'),
    'invalid value "yes" in "eventsync_health" directive, it must be "on" or '
    . '"off"', 'neither on nor off', 11);
refused(conf("eventsync_$_ on;"), "\"eventsync_$_\" directive is not allowed here",
    "eventsync_$_ outside of a location", 5) for qw(health metrics);

###############################################################################
# eventsync_cors

accepted(conf("eventsync_cors $_;"), "eventsync_cors $_") for 'off', '*',
    'https://a.example', 'https://a.example http://localhost:3000',
    'http://127.0.0.1', 'http://[::1]:8080', 'chrome-extension://abc';
accepted(conf('eventsync_cors *;', server => 'eventsync_cors off;',
    location => 'eventsync_cors https://a.example;'), 'cors at every level');

for my $origin ('https://A.example', 'HTTPS://a.example', 'a.example', 'null',
    'https://', 'https://a.example/', 'https://a.example:', 'https://a:x',
    'https://a.example:123456', 'https://*.example', '://a', 'http://[::1',
    'https://a.example *', '* https://a.example', 'off https://a.example')
{
    my $named = $origin =~ /^https:\S+ \*/ ? '*' : (split / /, $origin)[0];
    refused(conf("eventsync_cors $origin;"), 'invalid origin "' . quotemeta($named) . '"',
        "eventsync_cors $origin", 5);
}
refused(conf('eventsync_cors *; eventsync_cors off;'),
    '"eventsync_cors" directive is duplicate', 'cors twice', 5);

###############################################################################
# eventsync_deprecated

my $when = '2027-01-01T00:00:00Z';
accepted(conf("eventsync_deprecated $_;"), "eventsync_deprecated $_") for 'off', $when,
    "$when sunset=$when", "$when link=/v2/ sunset=2028-01-01T00:00:00+01:00";
accepted(conf("eventsync_deprecated $when;", server => 'eventsync_deprecated off;',
    location => "eventsync_deprecated $when;"), 'deprecated at every level');
refused(conf("eventsync_deprecated $_->[0];"), $_->[1], "eventsync_deprecated $_->[0]", 5)
    for [ 'soon', 'invalid time "soon", it must be as in "2027-01-01T00:00:00Z"' ],
    [ 'on', 'invalid time "on"' ], [ "off sunset=$when", 'invalid time "off"' ],
    [ "$when sunset=soon", 'invalid parameter "sunset=soon"' ],
    [ "$when link=", 'invalid parameter "link="' ],
    [ "$when link=/a>b", 'invalid parameter "link=/a>b"' ],
    [ "$when sunset=$when sunset=$when", 'invalid parameter "sunset=' ],
    [ "$when link=/a link=/b", 'invalid parameter "link=/b"' ],
    [ "$when until=$when", 'invalid parameter "until=' ],
    [ "$when sunset=2026-01-01T00:00:00Z",
        '"eventsync_deprecated" directive has a sunset before the deprecation' ];
refused(conf("eventsync_deprecated $when; eventsync_deprecated off;"),
    '"eventsync_deprecated" directive is duplicate', 'deprecated twice', 5);

###############################################################################
# eventsync_token, eventsync_token_keys, eventsync_token_lifetime

my $jwk = '"kid":"a","alg":"HS256","kty":"oct","k":"' . 'A' x 43 . '"';
for my $file ([ good => "{\"keys\":[{$jwk}]}" ], [ text => 'keys' ],
    [ none => '{"keys":[]}' ], [ twice => "{\"keys\":[{$jwk},{$jwk}]}" ],
    [ algorithm => '{"keys":[{"kid":"b","kty":"oct","alg":"none"}]}' ],
    [ short => '{"keys":[{' . substr($jwk, 0, -2) . '"}]}' ],
    [ open => "{\"keys\":[{$jwk}]}" ])
{
    $t->write_file("tokens-$file->[0]", $file->[1]);
    chmod $file->[0] eq 'open' ? 0644 : 0640, $t->testdir . "/tokens-$file->[0]";
}
my $keys = 'eventsync_token_keys tokens-good;';

accepted(conf($keys), 'keys of tokens, and nobody who gives any');
accepted(conf($keys, location => 'eventsync_token on;'), 'and who does');
accepted(conf('', server => $keys, location => 'eventsync_token on;'),
    'keys in the server');
accepted(conf($keys, server => $keys, location => 'eventsync_token on;'),
    'keys at both levels');
accepted(conf("$keys eventsync_token_lifetime $_;"), "a lifetime of $_")
    for '1s', '1d', '90';
accepted(conf('eventsync_token_lifetime 1m;', server => 'eventsync_token_lifetime 2m;',
    location => 'eventsync_token_lifetime 3m;'), 'a lifetime at every level');

refused(conf('', location => 'eventsync_token on;'),
    'no "eventsync_token_keys" is defined for "eventsync_token on" in \S+check\.conf:11\b',
    'tokens without keys');
refused(conf('', location => 'location /v1/a/ { eventsync_token on; }'),
    'for "eventsync_token on" in \S+check\.conf:11\b', 'in a location of it');
accepted(conf('', location => 'eventsync_token off;'), 'keys are not needed for that');
refused(conf('eventsync_token on;'), 'is not allowed here', 'tokens for all', 5);
refused(conf($keys, location => 'eventsync_token yes;'), 'invalid value "yes"',
    'tokens, yes', 11);
refused(conf($keys, location => 'eventsync_token on; eventsync_token on;'),
    'is duplicate', 'tokens twice', 11);
refused(conf('', location => $keys), 'is not allowed here', 'keys in a location', 11);
refused(conf("$keys $keys"), '"eventsync_token_keys" directive is duplicate',
    'keys twice', 5);
refused(conf('eventsync_token_keys;'), 'invalid number of arguments',
    'keys without a path', 5);

my %keys = (missing => 'cannot be opened: No such file',
    open => 'must be a file of mode 0600 or 0640, not 0644',
    text => 'is not JSON: line 1, column 4', none => 'must be a JWK Set with at least one key',
    twice => ', key "a": another key has this "kid"',
    algorithm => ', key "b": "alg" must be HS256, ES256 or RS256',
    short => ', key "a": "k" must be 32 bytes or more in base64url');
refused(conf("eventsync_token_keys tokens-$_;"), "\"\\S+tokens-$_\" ?$keys{$_}",
    "keys: $_", 5) for sort keys %keys;

for my $value (qw(0 0s 25h 2d 86401)) {
    refused(conf("eventsync_token_lifetime $value;"),
        "invalid lifetime \"$value\", it must be from 1s to 1d", "a lifetime of $value", 5);
}
refused(conf('eventsync_token_lifetime soon;'), 'invalid value', 'a lifetime, soon', 5);
refused(conf('eventsync_token_lifetime 1m; eventsync_token_lifetime 1m;'), 'is duplicate',
    'a lifetime twice', 5);

###############################################################################
# eventsync_sse, eventsync_backfill_heartbeat

accepted(conf('eventsync_sse on;', server => 'eventsync_sse_max_time 1h;',
    location => 'eventsync_sse_heartbeat 500ms;'), 'sse at every level');
refused(conf('eventsync_sse yes;'), 'invalid value "yes"', 'sse yes', 5);
for my $name (qw(sse_max_time sse_heartbeat backfill_heartbeat)) {
    refused(conf("eventsync_$name soon;"), 'invalid value', "$name soon", 5);
    refused(conf("eventsync_$name 0;"), 'must be longer than 0', "$name 0", 5);
    refused(conf("eventsync_$name 1s; eventsync_$name 2s;"), 'is duplicate',
        "$name twice", 5);
}

###############################################################################
# flags and words

for my $name (qw(poll publish feeds pages authorize openapi)) {
    refused(conf('', location => "eventsync_$name yes;")
            =~ s/eventsync_poll on;//r, 'invalid value "yes"',
        "eventsync_$name yes", 11);
    refused(conf("eventsync_$name on;"), 'is not allowed here',
        "eventsync_$name in http", 5);
}
refused(conf('eventsync_auth token;'), 'invalid value "token"',
    'eventsync_auth', 5);
refused(conf("eventsync_auth $_;"), 'no "ssl_verify_client" is defined',
    "eventsync_auth $_ without verification") for qw(mtls key_or_mtls key_and_mtls);
refused(conf('eventsync_auth mtls;', location => 'eventsync_token on;'),
    '"eventsync_token on" and "eventsync_auth mtls" exclude each other',
    'tokens with certificates only');
refused(conf('eventsync_cache public;'), 'invalid value "public"',
    'eventsync_cache', 5);
refused(conf('eventsync_cache shared; eventsync_cache shared;'),
    'is duplicate', 'eventsync_cache twice', 5);
refused(conf('eventsync_ratelimit_headers on;'), 'invalid value "on"',
    'eventsync_ratelimit_headers', 5);
refused(conf("$_ $_;"), 'unknown directive', $_, 5) for 'eventsync_unknown';

###############################################################################
# eventsync_limit

refused(conf('eventsync_limit wait rate=1r/s;'), 'invalid policy "wait"',
    'a policy that is none', 5);
refused(conf("eventsync_limit poll rate=$_;"), "invalid parameter \"rate=$_\"",
    "rate=$_", 5) for '', '0r/s', '1', '1r', '1r/w', '-1r/s', 'r/s', '1.5r/s';
refused(conf("eventsync_limit poll rate=1r/s burst=$_;"),
    "invalid parameter \"burst=$_\"", "burst=$_", 5) for '', '0', '-1', 'x';
refused(conf('eventsync_limit poll burst=1;'), 'must have "rate" parameter',
    'no rate', 5);
refused(conf('eventsync_limit poll rate=1r/s nodelay;'),
    'invalid parameter "nodelay"', 'another parameter', 5);
refused(conf('eventsync_limit poll;'), 'invalid number of arguments',
    'nothing', 5);
refused(conf('eventsync_limit poll rate=1r/s; eventsync_limit poll off;'),
    'is duplicate', 'twice', 5);
refused(conf("eventsync_limit waits $_;"), "invalid parameter \"$_\"",
    "waits $_", 5) for 'max=0', 'max=', 'max=-1', 'max=x', 'rate=1r/s', 'burst=1';
refused(conf("eventsync_limit backfill rate=$_;"),
    "invalid parameter \"rate=$_\"", "backfill rate=$_", 5)
    for '1r/s', '10m', '0/s', '1t/s', '10mb/s';
refused(conf('eventsync_limit backfill rate=1m/s burst=1x;'),
    'invalid parameter "burst=1x"', 'backfill burst', 5);
refused(conf('eventsync_limit poll rate=1r/d burst=40000;'),
    'exceeds what the rate "1r/d" allows in 100 years', 'a burst never earned', 5);
refused(conf("eventsync_limit poll rate=1r/s $_;"), "invalid parameter \"$_\"",
    "poll $_", 5) for 'rate=2r/s', 'max=1';
refused(conf('eventsync_limit address;'), 'invalid number of arguments',
    'address', 5);
refused(conf('eventsync_limit_dry_run maybe;'), 'invalid value "maybe"',
    'dry run', 5);
accepted(conf('eventsync_limit backfill rate=100m/h burst=10m;'
    . ' eventsync_limit waits max=10; eventsync_limit address rate=1r/s burst=9;'
    . ' eventsync_limit_dry_run on;', location => 'eventsync_limit waits off;'
    . ' eventsync_limit backfill rate=9000/s; eventsync_limit_dry_run off;'),
    'limits of every policy');
accepted(conf('eventsync_limit poll rate=1r/s burst=5;'
    . ' eventsync_limit publish rate=1000r/h;',
    location => 'eventsync_limit poll off;'), 'limits');

###############################################################################
# numbers

refused(conf("eventsync_poll_limit $_;"), 'invalid number', "poll_limit $_", 5)
    for '0 10', '-1 10', '10 x';
refused(conf('eventsync_poll_limit 10 5;'),
    'default "10" exceeds the maximum "5"', 'poll_limit', 5);
refused(conf('eventsync_poll_limit 10;'), 'invalid number of arguments',
    'poll_limit 10', 5);
refused(conf('eventsync_poll_limit 1 2; eventsync_poll_limit 1 2;'),
    'is duplicate', 'poll_limit twice', 5);
refused(conf('eventsync_poll_wait_max long;'), 'invalid value',
    'poll_wait_max', 5);
refused(conf('eventsync_poll_wait_max 1500ms;'), 'invalid value',
    'poll_wait_max is of whole seconds', 5);
refused(conf('eventsync_tombstones .x off;'), '"off" cannot be used with suffixes',
    'tombstones off beside a suffix', 5);
refused(conf('eventsync_max_event big;'), 'invalid value', 'max_event', 5);

###############################################################################
# eventsync_prefix

refused(conf('', location => "eventsync_prefix $_;"),
    'invalid prefix ".*", it must begin with "/" and have no variable',
    "prefix $_", 11) for '""', 'v1', '@v1', '/$host/v1', '$uri';
refused(conf('', location => 'eventsync_prefix;'), 'invalid number of arguments',
    'prefix of nothing', 11);
refused(conf('', location => 'eventsync_prefix /v1; eventsync_prefix /v1;'),
    'is duplicate', 'prefix twice', 11);
refused(conf('eventsync_prefix /v1;'), 'is not allowed here', 'prefix for all', 5);

for my $name ('~ ^/v2/', '~* ^/V2', '@v2') {
    my $text = $name =~ s/.* //r;
    my $other = "location $name { eventsync_sse on; eventsync_feeds on; }";

    refused(conf('', server => $other), "no \"eventsync_prefix\" is defined for "
        . "location \"\Q$text\E\"", "location $name", 8);
    accepted(conf('', server => $other =~ s/\{/{ eventsync_prefix \/v2;/r),
        '... has one');
    accepted(conf('', server => $other =~ s/feeds on/feeds off/r),
        '... or serves nothing');
    accepted(conf('', server => $other =~ s/\{/{ return 204; /r
        =~ s/eventsync_feeds on/proxy_pass http:\/\/127.0.0.1:1/r),
        '... or has another handler');
}
accepted(conf('', location => 'location ~ x { eventsync_feeds on; }'),
    'a regular expression within a location needs none');
accepted(conf('', server => 'location ~ x { eventsync_prefix /; '
    . 'location ~ y { eventsync_feeds on; } }'), 'nor within another that has it');

###############################################################################
# thread pools

for my $pool (qw(eventsync eventsync_commit)) {
    refused(conf('', main => "thread_pool $pool threads=1;",
        location => 'eventsync_publish on;'),
        qq{duplicate thread pool "$pool"}, "the module's own pool $pool");
    accepted(conf('', main => "thread_pool $pool threads=1;"),
        "$pool is free where no resource needs threads");
}

###############################################################################
# what serves, and what does not

$t->write_file_expand('nginx.conf', <<'CONF');
events { }

http {
    eventsync_store %%STORE%%;
    eventsync_auth off;
    eventsync_poll_limit 5 6;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location /v1/ {
            eventsync_poll on;

            location /v1/nested/ {
                eventsync_publish on;
            }

            location /v1/off/ {
                eventsync_poll off;
            }

            location /v1/other/ {
                proxy_pass http://127.0.0.1:%%PORT_0%%/text;
            }

            location /v1/deeper/ {
                eventsync_poll_limit 1 2;
                eventsync_auth key;
            }
        }

        location /text {
            return 200 "text";
        }
    }

    server {
        listen 127.0.0.1:%%PORT_1%%;
        eventsync_poll_limit 3 4;

        location / {
            eventsync_poll on;
        }
    }
}
CONF
$t->run_nginx;

sub get { return $t->http(GET => $_[0], {}, undef, port => $t->port($_[1] // 0)) }

sub maximum {
    my $doc = Test::Eventsync::json(get("$_[0]?limit=1000", $_[1])->{body});
    return $doc->{maximum};
}

my $events = 'feeds/orders/events';
is(get("/v1/$events")->{status}, 200, 'auth is inherited');
is(maximum("/v1/$events"), 6, 'a number is inherited');
is(maximum("/$events", 1), 4, 'from the server');
is(get("/v1/nested/$events")->{status}, 200, 'poll is inherited');
is($t->http(POST => "/v1/nested/$events",
    { 'content-type' => 'application/json' }, $t->event)->{status}, 201,
    'and publish added');
is($t->http(POST => "/v1/$events", {}, '')->{status}, 405, 'but there only');
is(get("/v1/off/$events")->{status}, 404, 'poll is switched off');
is(get("/v1/other/$events")->{body}, 'text', 'another handler keeps its place');
is(get("/v1/deeper/$events")->{status}, 401, 'auth is overridden');
$t->stop_nginx;

###############################################################################
# eventsync_otlp

accepted(conf("eventsync_otlp $_;"), "eventsync_otlp $_") for 'off',
    'http://127.0.0.1', 'http://127.0.0.1:4318/v1/traces', 'HTTP://localhost/',
    'http://unix:/run/otel.sock:', 'http://[::1]:1/x share=0.01 buffer=64k',
    'http://127.0.0.1 share=1', 'http://127.0.0.1 share=0';
for (
    ['https://127.0.0.1', 'invalid URL "https://127.0.0.1", it must begin with "http://"'],
    ['http://', 'invalid URL "http://"'],
    ['on', 'invalid URL "on"'],
    ['http://127.0.0.1:99999', 'invalid port'],
    ['http://nowhere.invalid', 'in the URL of a collector'],
    ['http://u:p@127.0.0.1', 'credentials are not supported'],
    ['http://127.0.0.1 share=2', 'invalid share "2"'],
    ['http://127.0.0.1 share=', 'invalid share ""'],
    ['http://127.0.0.1 buffer=1k', 'invalid buffer "1k"'],
    ['http://127.0.0.1 buffer=x', 'invalid buffer "x"'],
    ['http://127.0.0.1 size=1m', 'invalid parameter "size=1m"'],
    ['off share=1', 'has parameters after "off"'],
    ['off; eventsync_otlp off', '"eventsync_otlp" directive is duplicate'],
) {
    my ($value, $message) = @$_;
    refused(conf("eventsync_otlp $value;"), $message, "eventsync_otlp $value", 5);
}
refused(conf('', location => 'eventsync_otlp off;'), 'is not allowed here',
    'eventsync_otlp in a location', 11);

###############################################################################
# defaults, as docs/directives.md has them

my $doc = do {
    open my $fh, '<', 'docs/directives.md' or die "docs/directives.md: $!\n";
    local $/;
    <$fh>;
};
my %default = $doc =~ /^\| Default: \| `eventsync_(\w+) ([^`]+);` \|$/mg;
is_deeply([ sort keys %default ], [qw(auth authorize backfill
    backfill_heartbeat cache catalogue checkpoints cors dashboard deprecated endpoints
    feeds flag health
    limit_dry_run max_event metrics openapi operator otlp pages poll poll_limit poll_wait_max
    publish ratelimit_headers ready_dispatcher snapshot sse sse_heartbeat sse_max_time
    status token token_lifetime tombstones)],
    'documented defaults');

my $key = $t->master_key;
$t->write_file_expand('nginx.conf', <<'CONF');
events { }

http {
    eventsync_store %%STORE%%;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location /default/ {
            eventsync_poll on;
            eventsync_publish on;
            eventsync_limit poll rate=1000r/s burst=1000;
        }

        location /none/ {
            eventsync_feeds off;
        }

        location /none/feeds {
            return 200 "nothing of ours";
        }
    }
}
CONF
$t->run_nginx;

sub with { return $t->http(GET => $_[0], { authorization => "Bearer $key" }) }

my ($limit, $max) = split ' ', $default{poll_limit};
$t->http(POST => "/default/$events", { authorization => "Bearer $key",
    'content-type' => 'application/x-ndjson' },
    join "\n", map { $t->event } 1 .. $limit + 1);
my $answer = with("/default/$events");
is(@{ Test::Eventsync::json($answer->{body})->{events} }, $limit,
    'default of poll_limit');
ok($answer->{headers}{'ratelimit-policy'}, 'default of ratelimit_headers')
    if $default{ratelimit_headers} eq 'draft';
is(get("/default/$events")->{status}, 401, 'default of auth')
    if $default{auth} eq 'key';
is(Test::Eventsync::json(with("/default/$events?limit=99999")->{body})
    ->{maximum}, $max, 'default of its maximum');
is(Test::Eventsync::json(with("/default/$events?wait=99999")->{body})
    ->{maximum} . 's', $default{poll_wait_max}, 'default of poll_wait_max');
my ($size) = $default{max_event} =~ /^(\d+)k$/;
for my $case ([ 201, $size * 1024 - 1000 ], [ 413, $size * 1024 + 1 ]) {
    is($t->http(POST => "/default/$events", { authorization => "Bearer $key",
        'content-type' => 'application/json' },
        $t->event(data => 'x' x $case->[1]))->{status}, $case->[0],
        "default of max_event: $case->[0]");
}
is(get('/none/feeds')->{body}, 'nothing of ours', 'default of the flags');
$t->stop_nginx;

###############################################################################
# a store that goes away between the configuration and its use

rename $t->store, $t->store . '.away';
mkdir $t->store;
$t->write_file('store/format', $t->read_file($t->store . '.away/format'));
$t->run_nginx;
$answer = with("/default/$events");
is($answer->{status}, 503, 'a store that cannot be opened');
is(Test::Eventsync::json($answer->{body})->{type},
    'urn:eventsync:problem:unavailable', 'its type');
ok($answer->{headers}{'retry-after'}, 'retry-after');
like($t->read_file('error.log'),
    qr/\[crit\].*eventsync store "[^"]*" cannot be opened/, 'log says so');
unlink $t->store . '/format';
rename $t->store, $t->store . '.empty';
rename $t->store . '.away', $t->store;
ok(wait_for(sub { with("/default/$events")->{status} == 200 }, 5),
    'it is opened when it is there');

done_testing();
