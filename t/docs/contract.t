#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# The contract, by a tool that nobody here wrote: schemathesis makes valid and
# invalid requests of docs/openapi.json and sends them to a worker.  No answer is
# a 5xx, and each is as the document says: status, media type, header fields and
# body.  Invalid requests are refused, and those without a key.
#
#     ES_CONTRACT_EXAMPLES=4   of each operation; make check-contract has more
#     ES_CONTRACT_SEED=1
#
# schemathesis also warns of valid requests that are refused, which is no fault
# here: a document cannot say that a cursor must be one of the feed, or that two
# parameters exclude each other.

use warnings;
use strict;

use Cwd qw(abs_path);
use JSON::PP;
use Test::More;

use lib 't/lib';
use Test::Eventsync;

my $python = abs_path($ENV{BUILD} // 'build') . '/contract';
plan skip_all => 'without schemathesis: PyPI could not be reached, or make '
    . 'contract was not run' if !-x "$python/bin/schemathesis";

my $t = Test::Eventsync->new;
my $dir = $t->testdir;

# /v1 is the real one.  The others have an answer that is not as described.
$t->store_init;
$t->feed($_, retain_count => 300) for qw(orders paged);
$t->feed('strict', schema => 'enforce');
$t->ctl_ok({ stdin => '{"properties":{"a":{"type":"array"}}}' }, 'type',
    'register', 'order.updated', '1.0.0');
chmod 0600, $t->write_file('keys.json', encode_json({ keys => [
    { kty => 'oct', alg => 'HS256', kid => 'one', k => 'MTEx' x 11 } ] }));

my $all = join ' ', map { "eventsync_$_ on;" } qw(poll publish feeds pages sse
    authorize backfill snapshot catalogue checkpoints endpoints metrics openapi
    health token status operator dashboard);
$t->write_file_expand('nginx.conf', <<"CONF");
events { }

http {
    eventsync_store %%STORE%%;
    eventsync_token_keys keys.json;
    eventsync_poll_wait_max 1s;
    eventsync_sse_max_time 1s;
    eventsync_ready_dispatcher off;
    client_max_body_size 64k;
    large_client_header_buffers 4 64k;

    server {
        listen 127.0.0.1:%%PORT_0%%;
        keepalive_requests 100000;

        location /v1/ { $all }

        location = /wrong/feeds {
            default_type application/json;
            add_header Cache-Control "private, no-cache" always;
            return 200 '{"feeds":[{"name":5}]}';
        }
        location = /wrong/status { return 500; }
        location = /wrong/store { return 418; }
        location /wrong/ { $all }
    }
}
CONF
$t->run_nginx;

my $key = $t->partner_key('acme', feeds => 'orders,paged,strict', publish => '*',
    scopes => 'read,publish,ack,manage,admin');
$t->publish('orders', map { { id => "o$_", subject => 's' . $_ % 5,
    type => $_ % 2 ? 'order.updated' : 'b' } } 1 .. 12);
$t->publish('paged', map { { id => "p$_" } } 1 .. 250);
$t->http(POST => '/v1/endpoints', { authorization => "Bearer $key",
    'content-type' => 'application/json' },
    '{"url":"https://a.example/","feeds":["orders"]}')->{status} == 201
    or die "no endpoint\n";

$t->write_file('schemathesis.toml', <<'TOML');
[parameters]
"path.feed" = "orders"

[checks.negative_data_rejection]
expected-statuses = [400, 401, 403, 404, 405, 406, 409, 410, 412, 413, 415, 422, 428, 429]
TOML

# Exit status, and what schemathesis says.
sub run {
    my ($prefix, @args) = @_;
    my $at = 'http://127.0.0.1:' . $t->port(0);
    local $ENV{PYTHONPATH} = "$python:" . abs_path('t/python');
    local $ENV{SCHEMATHESIS_HOOKS} = 'contract';
    local $ENV{PYTHONDONTWRITEBYTECODE} = 1;
    my $proc = $t->start('schemathesis', {}, 'sh', '-c', 'cd "$0" && exec "$@"',
        $dir, "$python/bin/schemathesis", 'run',
        "$at/v1/openapi.json", '--url', "$at$prefix", '--header',
        "Authorization: Bearer $key", '--seed', $ENV{ES_CONTRACT_SEED} // 1,
        '--phases', 'coverage,fuzzing,stateful', '--checks', 'all',
        '--exclude-checks', 'positive_data_acceptance', '--generation-database',
        'none', '--request-timeout', 20, '--continue-on-failure', '--no-color',
        '--warnings', 'off', @args);
    my $status = $proc->wait($ENV{ES_CONTRACT_EXAMPLES} ? 3600 : 120) // 'none';
    return ($status, $proc->stdout . $proc->stderr);
}

my ($status, $said) = run('/v1', '--max-examples',
    $ENV{ES_CONTRACT_EXAMPLES} // 4);
is($status, 0, 'all answers are as described') or diag $said;
my ($generated) = $said =~ /(\d+) generated/;
cmp_ok($generated // 0, '>', 1000, 'of so many requests');
note("$generated requests");

($status, $said) = run('/wrong', '--max-examples', 1,
    map { ('--include-operation-id', $_) } qw(listFeeds getStatus getStore));
is($status, 1, 'wrong answers are found');
like($said, $_, 'by their kinds') for qr/Response violates schema/,
    qr/Server error/, qr/Undocumented status code/;

done_testing();
