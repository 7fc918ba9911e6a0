#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# --json of every command: a good call of each prints one document, or lines if
# the table says so, and nothing else; a bad call prints a problem on standard
# error.  The list below has a call for each command of the table.

use warnings;
use strict;

use IO::Socket::INET;
use JSON::PP;
use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);

my $t = Test::Eventsync->new;
my %command = map { $_->{command} => $_ } map { decode_json($_) }
    split /\n/, $t->ctl_ok('help', '--json');
my (%seen, %name, $keys);

good();
events();
delivery();
elsewhere();

is_deeply([ grep { !$seen{$_} } sort keys %command ], [],
    'every command of the table has --json and a call here');

problems();
notes();

done_testing();

###############################################################################

# Runs the command with --json and returns its documents.
sub json {
    my ($name, $keys, @args) = @_;
    my $opts = ref $args[0] ? shift @args : {};
    my $status = delete $opts->{status} // 0;
    my $c = $command{$name};
    return fail("$name has --json") if !$c || !$c->{json};
    $seen{$name} = 1;

    my ($rc, $out, $err) = $t->ctl($opts, split(/ /, $name), @args, '--json');
    is($rc, $status, "$name: exit $status") or diag($err) if $status ne 'any';
    my @docs = eval { map { decode_json($_) } split /\n/, $out };
    is($@, '', "$name: prints JSON");
    is(scalar @docs, 1, 'one document') if !$c->{stream};
    like($out, qr/\n\z/, 'with the end of its line') if length $out;
    my @missing = grep { my $k = $_; grep { !exists $_->{$k} } @docs } @$keys;
    is_deeply(\@missing, [], "with @$keys");
    my @said = grep { !eval { decode_json($_)->{note} } } split /\n/, $err;
    is_deeply(\@said, [], 'standard error has only notes') if !$status;
    return $c->{stream} ? @docs : $docs[0];
}

# The store, and the records of the registry.
sub good {
    is(json('init', ['store', 'plain_secrets'], '--plain-secrets')->{store}, $t->store, 'the path');
    my $feed = json('feed create', ['name', 'epoch', 'retain_ms'], 'orders',
        '--retain-age=1h');
    is($feed->{retain_ms}, 3600000, 'the feed as it is');
    is(json('feed change', ['name'], 'orders', '--retain-age=2h',
        '--schema=off')->{retain_ms}, 7200000, 'as it was changed');
    is((json('feed list', ['name']))[0]{name}, 'orders', 'the feed');
    is_deeply(json('feed show', ['name', 'latest'], 'orders'),
        decode_json($t->ctl_ok('feed', 'show', 'orders')),
        'is the same without the option');

    json('type register', ['type', 'versions'], { stdin => '{"type":"object"}' },
        'order.created', '1.0.0', '--feeds=orders');
    is_deeply(json('type change', ['type', 'feeds'], 'order.created',
        '--feeds=orders,other')->{feeds}, ['orders', 'other'], 'changed');
    like(json('type deprecate', ['versions'], 'order.created', '1.0.0',
        )->{versions}[0]{deprecated}, qr/^20/, 'deprecated');
    json('type list', ['type', 'versions']);
    json('type show', ['type'], 'order.created');
    is(json('type show', ['type'], 'order.created', '1.0.0')->{type}, 'object',
        'the schema');
    json('type export', ['type', 'version', 'schema'], 'order.created');
    is(json('type promote', ['registered', 'dry_run'],
        { stdin => $t->ctl_ok('type', 'export') })->{present}, 1, 'promoted');

    is(json('partner create', ['name', 'feeds'], 'acme', '--feeds=orders'
        )->{name}, 'acme', 'a partner');
    is_deeply(json('partner change', ['name'], 'acme', '--publish=orders'
        )->{publish}, ['orders'], 'changed');
    is(json('partner data-use', ['name', 'data_use'], 'acme', '--feeds=orders',
        '--purpose=invoices', '--expires=2099-01-01T00:00:00Z'
        )->{data_use}{purpose}, 'invoices', 'its agreement');
    is(json('flag set', ['name', 'partners'], 'sse', '10%')->{partners}, '10%', 'a flag');
    is((json('flag list', ['name', 'partners']))[0]{name}, 'sse', 'the flags');
    json('flag remove', ['name', 'removed'], 'sse');
    json('partner list', ['name']);
    json('partner show', ['name', 'feeds'], 'acme');

    my $key = json('key create', ['name', 'key', 'scopes'], 'acme',
        '--scopes=read');
    like($key->{key}, qr/^esk_\Q$key->{name}\E_/, 'a key');
    ok(!(grep { $_->{key} } json('key list', ['name', 'partner'])),
        'which is printed once');
    my $changed = json('key change', ['name', 'label', 'allow_from'],
        $key->{name}, '--label=billing', '--allow-from=10.0.0.0/8',
        '--expires=2099-01-01T00:00:00Z');
    is($changed->{label}, 'billing', 'a label');
    is($changed->{expires}, '2099-01-01T00:00:00Z', 'an end');
    $changed = json('key change', ['name'], $key->{name}, '--label=',
        '--allow-from=any', '--expires=never');
    ok(!(grep { exists $changed->{$_} } qw(label allow_from expires)),
        'and all are taken back');

    my $link = json('dashboard link', ['name', 'url', 'expires'], 'acme',
        '--url=https://x.example');
    like($link->{url}, qr/#link\/esl_\Q$link->{name}\E_/, 'a link');
    is_deeply([ map { $_->{state} } json('dashboard links',
        ['name', 'partner', 'scopes', 'state', 'expires', 'created']) ],
        ['waits'], 'which waits');
    like(json('dashboard revoke', ['name', 'revoked'], $link->{name}
        )->{revoked}, qr/^20/, 'and is revoked');
    json('key remove', ['name', 'removed'], $link->{name});

    my $endpoint = json('endpoint create', ['name', 'url', 'secret'], 'acme',
        '--url=https://x.example/h', '--feeds=orders');
    ($name{endpoint}) = $endpoint->{name};
    like($endpoint->{secret}, qr/^whsec_/, 'an endpoint');
    is(json('endpoint change', ['name', 'timeout'], $name{endpoint},
        '--timeout=9s')->{timeout}, '9s', 'changed');
    ok(json('endpoint pause', ['name'], $name{endpoint})->{paused}, 'paused');
    ok(!json('endpoint resume', ['name'], $name{endpoint})->{paused},
        'resumed');
    like(json('endpoint rotate', ['name', 'secret'], $name{endpoint}
        )->{secret}, qr/^whsec_/, 'a secret');
    like(json('endpoint rotate', ['name', 'public_key'], $name{endpoint},
        '--kind=v1a')->{public_key}, qr/^whpk_/, 'a public key');
    is(scalar @{ json('endpoint keys', ['keys'], $name{endpoint})->{keys} }, 1,
        'which is printed again');
    json('endpoint list', ['name', 'url']);
    json('endpoint show', ['name', 'url'], $name{endpoint});
    ok(json('endpoint simulate', ['name'], $name{endpoint}, '--failure=status'
        )->{simulate}, 'a failure');
    json('endpoint simulate', ['name'], $name{endpoint}, '--failure=none');

    like(json('key revoke', ['name', 'revoked', 'paused'], $key->{name},
        '--with-endpoints')->{revoked}, qr/^20/, 'revoked');
    ok(!exists json('key revoke', ['revoked'], $key->{name})->{paused},
        'without the option no endpoint is named');
    ok(json('key remove', ['name', 'removed'], $key->{name})->{removed},
        'removed');
}

sub events {
    my $in = join '', map { $t->event(id => "$_") . "\n" } 1 .. 3, 3;
    my @said = json('publish', [], { stdin => $in }, 'orders', '--results');
    is_deeply([ map { $_->{id} } @said[0 .. 3] ], [1, 2, 3, 3],
        'a line for each event');
    is_deeply([ map { $_->{duplicate} ? 1 : 0 } @said[0 .. 3] ], [0, 0, 0, 1],
        'with what is a duplicate');
    is_deeply($said[4], { feed => 'orders', events => 4, duplicates => 1,
        warnings => 0 }, 'and the totals');
    is(scalar(json('publish', ['events'], { stdin => $t->event(id => '4') },
        'orders')), 1, 'only totals without --results');
    my @events = json('tail', ['id', 'cursor'], 'orders');
    is(scalar @events, 4, 'the events');
    my $cursor = $events[1]{cursor};
    is((json('fields preview', ['id'], qw(acme orders), $cursor))[0]{id},
        $events[1]{id}, 'an event as a partner is sent it');

    my @export = json('export', [], 'orders');
    is($export[-1]{manifest}{count}, 4, 'the events and their manifest');
    my $file = $t->write_file('export', $t->ctl_ok('export', 'orders'));
    $t->feed('copy');
    is(json('import', ['imported', 'duplicates'], 'copy', $file)->{imported}, 4,
        'a copy');
    $t->ctl_ok('feed', 'remove', 'copy');

    my $staging = $t->testdir . '/staging';
    $t->ctl_ok("--store=$staging", @$_) for [qw(init --plain-secrets)],
        [qw(store mark staging)], [qw(feed create orders)];
    is(json('mirror', ['copied', 'duplicates', 'erased'], 'orders', "--to=$staging",
        '--fields=["/id"]')->{copied}, 4, 'a mirror');

    json('feed publishers', ['first', 'partner'], 'orders');
    is(json('checkpoint set', ['partner', 'cursor'], qw(acme orders billing),
        $cursor)->{cursor}, $cursor, 'a checkpoint');
    json('checkpoint list', ['partner', 'cursor']);
    is(json('checkpoint show', ['cursor'], qw(acme orders billing))->{cursor},
        $cursor, 'is shown');
    ok(json('checkpoint remove', ['removed'], qw(acme orders billing)
        )->{removed}, 'removed');

    is(json('feed pack', [qw(name pages bytes_before bytes_after)], 'orders',
        '--level=3')->{pages}, 0, 'no page is full');
    $t->ctl_ok(qw(feed change orders --pack=off));
    is(json('feed unpack', [qw(name pages)], 'orders')->{pages}, 0,
        'nothing is packed');
    is(json('feed retime', ['name', 'retimed'], 'orders')->{retimed}, 0,
        'nothing was dated in the future');
    is(json('feed hold', ['oldest'], 'orders', '--reason=case 17'
        )->{held}{reason}, 'case 17', 'a feed is held');
    is(json('feed release', ['oldest'], 'orders')->{held}, undef, 'no more');
    is(json('feed trim', ['oldest'], 'orders', "--before=$cursor"
        )->{events}, 3, 'trimmed');
}

sub delivery {
    my $cursor = decode_json((split /\n/, $t->ctl_ok('tail', 'orders'))[0]
        )->{cursor};
    my $name = $name{endpoint};
    is(json('endpoint replay', ['request', 'state'], $name, 'orders',
        '--from=oldest')->{state}, 'waiting for the dispatcher',
        'a request waits if no dispatcher runs');
    is(json("endpoint $_", ['count'], $name, 'orders', '--dry-run')->{count}, 0,
        'nothing') for qw(cancel discard);
    json("endpoint $_", ['endpoint'], $name) for qw(status attempts dead);
    is(json('explain', ['endpoint', 'reasons'], $name)->{endpoint}, $name,
        'the reasons');

    # what it finds depends on the machine
    json('doctor', [qw(ok warn fail skipped checks)], { status => 'any' },
        '--offline');

    # With a dispatcher and a receiver that refuses.
    my $recv = $t->receiver(500);
    $t->ctl_ok('partner', 'change', 'acme', '--allow-http=yes',
        '--allow-addresses=127.0.0.0/8');
    $t->ctl_ok('endpoint', 'pause', $name);
    my ($to) = $t->endpoint('acme', url => $recv->url, feeds => 'orders',
        start => 'oldest', schedule => '0,1h');
    $t->run_dispatcher;
    ok(wait_for(sub { $recv->count }, 20), 'a webhook is refused');
    ok(wait_for(sub { $t->ctl_ok('endpoint', 'status', $to, '--json')
        =~ /"statuses"/ }, 20), 'its event waits');
    is(json('endpoint skip', ['request', 'state'], $to, 'orders', $cursor
        )->{state}, 'skipped', 'an event is skipped');
    is(json('endpoint discard', ['count', 'state'], $to, '--expect=1'
        )->{state}, 'discarded', 'discarded');
    is(json('endpoint resend', ['request', 'state'], $to, 'orders', $cursor
        )->{state}, 'taken', 'a request is taken');
    json('endpoint redrive', ['request', 'state'], $to);
    json('endpoint verify', ['request', 'state'], $to, '--accept');
    my $test = json('endpoint test', ['id', 'request', 'state', 'status',
        'class'], { status => 1 }, $to);
    is($test->{status}, 500, 'the outcome of a test');
    ok(wait_for(sub { $t->ctl_ok('endpoint', 'cancel', $to, 'orders',
        '--dry-run') > 0 }, 20), 'the next waits');
    my $n = json('endpoint cancel', ['count'], $to, 'orders', '--dry-run'
        )->{count};
    is(json('endpoint cancel', ['count', 'state'], $to, 'orders',
        "--expect=$n")->{state}, 'cancelled', 'cancelled');
    $t->stop_dispatcher;

    ok(json('endpoint remove', ['name', 'removed'], $_)->{removed}, 'removed')
        for $name, $to;
    ok(json('partner remove', ['name', 'removed'], 'acme')->{removed},
        'removed');
}

sub elsewhere {
    like(json('feed begin-epoch', ['epoch'], 'orders')->{epoch}, qr/^[a-z2-7]+$/,
        'an epoch');
    is(json('feed reset', ['events'], 'orders')->{events}, 0, 'emptied');
    is(json('verify', [qw(feeds events records checkpoints faults)])->{faults},
        0, 'no fault');

    my $dir = $t->testdir;
    is(system("openssl genpkey -algorithm ed25519 -out $dir/audit.pem "
        . "2>/dev/null && chmod 600 $dir/audit.pem"), 0, 'a key');
    ok((grep { $_->{action} eq 'reset' } json('audit list',
        [qw(chain sequence time by from action kind object)])), 'changes');
    my @lines = json('audit export', [], "--audit-key=$dir/audit.pem");
    ok($lines[-1]{signature}, 'signed heads at last');
    $t->write_file('heads', encode_json($lines[-1]));
    my @heads = ("--audit-key=$dir/audit.pem", "--heads=$dir/heads");
    is(json('audit verify', [qw(chains signed_heads)], @heads)->{signed_heads},
        1, 'verified');
    ok(json('audit prune', ['pruned'], '--before=2100-01-01T00:00:00Z',
        @heads)->{pruned}{log}, 'pruned');
    my $copy = json('backup', [qw(directory feeds events checkpoints keys)],
        "$dir/backup");
    is($copy->{directory}, "$dir/backup", 'a backup');
    is(json('restore', [qw(directory feeds made keys)], "$dir/backup",
        "$dir/restored")->{feeds}, $copy->{feeds}, 'a store again');
    is(json('compact', [qw(store bytes won)], "$dir/compact")->{store},
        "$dir/compact", 'a copy without free pages');
    is(json('erase', [qw(erased events feeds surrogate_keys)],
        '--subject=nobody', '--dry-run')->{events}, 0, 'nothing to erase');
    json('erasures', [qw(store erasures)]);
    $t->ctl_ok(qw(partner create leaves --feeds=orders));
    is(json('partner offboard', [qw(partner keys endpoints feeds)], 'leaves',
        '--dry-run')->{checkpoints}, 0, 'what a partner has');
    is(json('partner offboard', [qw(receipt store deleted heads)], 'leaves',
        '--expect=0', "--audit-key=$dir/audit.pem", "--receipt=$dir/leaves"
        )->{deleted}{partner}, 'leaves', 'is deleted');
    is(json('audit receipt', ['receipt', 'deleted'], "$dir/leaves",
        "--audit-key=$dir/audit.pem")->{receipt}, 'offboard', 'with a receipt');
    ok(json('feed remove', ['name', 'removed'], 'orders')->{removed},
        'removed');

    my $group = (split / /, $()[0];
    is(json('store rights', [qw(group publish manage ack pages delivery
        dispatcher)], "--group=$group", "--dispatcher=$<",
        map { "--$_=$group" } qw(publish manage ack pages delivery)
        )->{group}, $group, 'the groups');

    $keys = $t->secret_file('A' x 43 . "=\n", 'keys');
    is(json('store rekey', ['encrypted'], "--key-file=$keys")->{encrypted},
        0, 'no secret is left');

    my @probe = ("--key-file=$keys", '--state=' . $t->testdir . '/probe');
    json('probe', ['feed', 'endpoint'], @probe, '--setup',
        '--port=' . $t->free_port, '--url=http://127.0.0.1:1/v1/');
    json('probe', ['channels'], { status => 1 }, $probe[1]);
    json('probe', [], @probe, '--cleanup');

    my $recv = $t->receiver(204);
    listening();
    json('verify-integration', ['url', 'checks'], { status => 1 },
        '--url=' . $recv->url, '--secret=whsec_' . 'A' x 43 . '=');
    mkdir $t->testdir . '/lab';
    $t->write_file('lab/lab.json', '{"passed":[]}');
    json('drill', ['faults'], '--list');
    json('store mark', ['staging'], 'staging');
    json('lab', ['passed'], $t->testdir . '/lab', '--status');
    json('verify-poller', ['url', 'hints', 'checks'], { status => 1 },
        '--port=0', '--only=idle', '--run=exit 3');
}

# It ends with SIGTERM, and so runs beside the test.
sub listening {
    my $port = $t->free_port;
    my $listen = $t->ctl_start('listen', '--json', "--port=$port",
        '--secret=whsec_' . 'A' x 43 . '=');
    ok(wait_for(sub { Test::Eventsync::port_open($port) }, 20), 'listen');
    my $socket = IO::Socket::INET->new("127.0.0.1:$port") or die;
    print {$socket} "OPTIONS / HTTP/1.0\r\nWebHook-Request-Origin: a.example\r\n\r\n";
    <$socket>;
    $listen->stop('TERM');
    my @said = map { decode_json($_) } split /\n/, $listen->stdout;
    is_deeply(\@said, [{ what => 'handshake', sender => 'a.example' },
        { what => 'report', refused => 0 }], 'listen prints lines of JSON');
    ok($command{listen}{json}, 'as the table says');
    $seen{listen} = 1;
}

# What fails prints a problem, and no document.
sub problems {
    for ([1, 'The operation failed', 'no feed "none"', 'feed', 'show', 'none'],
        [2, 'The call is wrong', 'unknown option "--x" of "feed show"', 'feed',
            'show', '--x', 'a'],
        [2, 'The call is wrong',
            'unknown command "fed show"; did you mean "feed show"?', 'fed',
            'show'])
    {
        my ($status, $title, $detail, @call) = @$_;
        for my $args ([ '--json', @call ], [ @call, '--json' ]) {
            my ($rc, $out, $err) = $t->ctl(@$args);
            is("$rc $out", "$status ", "@$args: fails without a document");
            is_deeply(decode_json($err), { title => $title, detail => $detail,
                exit_status => $status }, 'and with a problem');
        }
    }
}

# A note is in the document, and on standard error.
sub notes {
    my @http = ("--key-file=$keys", '--url=http://b.example/', '--feeds=x');
    $t->ctl_ok('partner', 'create', 'b', '--feeds=x');
    my ($rc, $out, $err) = $t->ctl('endpoint', 'create', 'b',
        @http, '--json');
    my ($notes) = decode_json($out)->{notes};
    ok(scalar(grep { /--allow-http/ } @$notes), 'a note is in the document');
    is_deeply([ map { decode_json($_)->{note} } split /\n/, $err ], $notes,
        'and the same on standard error');
    is(json('endpoint change', ['notes'],
        "--key-file=$keys", decode_json($out)->{name}, '--url=http://c.example/')->{url},
        'http://c.example/', 'of a change, too');
    ($rc, $out, $err) = $t->ctl('endpoint', 'create', 'b',
        @http, '--json', '--quiet');
    is($err, '', '--quiet leaves notes out');
    ok(!exists decode_json($out)->{notes}, 'of the document, too');
    ($rc, $out, $err) = $t->ctl('endpoint', 'create', 'b', @http,
        '--quiet');
    is($err, '', 'and without --json');
}
