#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Commands that succeed and do nothing useful say so, in a note; and commands
# that do what they should say nothing.

use warnings;
use strict;

use JSON::PP;
use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);

my $t = Test::Eventsync->new;
$t->store_init;
$t->feed($_) for qw(orders prices acme-in);

# Runs a command that must succeed; its notes.
my $out;
sub notes {
    my @args = @_;
    (my $rc, $out, my $err) = $t->ctl(@args);
    my @notes = split /\n/, $err;
    is($rc, 0, join ' ', grep { !ref } @args[0 .. 2]) or diag($err);
    return [ map { s/\Aeventsyncctl: note: // ? $_ : "no note: $_" } @notes ];
}

# They must be these, in this order.
sub noted {
    my ($patterns, @args) = @_;
    my $notes = notes(@args);
    is(scalar @$notes, scalar @$patterns, 'so many notes') or diag("@$notes");
    like($notes->[$_] // '', $patterns->[$_], 'says why') for 0 .. $#$patterns;
}

my $none = qr/^no dispatcher runs on this store, and nothing is sent until one is started$/;
my @acme = ('endpoint', 'create', 'acme', '--feeds=orders');

partners();
keys_();
without_dispatcher();
with_dispatcher();
feeds();
ways();

done_testing();

###############################################################################

sub partners {
    noted([qr/^the partner may use no feed: "partner change none --feeds/],
        'partner', 'create', 'none');
    noted([qr/^there is no feed "nothing" yet$/, qr/^there is no feed "nor" yet$/],
        'partner', 'change', 'none', '--feeds=orders,nothing,x-*',
        '--publish=nor');
    noted([], 'partner', 'create', 'acme', '--feeds=orders,acme-*');
    noted([qr/^no option was given: the record stays/], 'partner', 'change',
        'acme');
    noted([], 'partner', 'change', 'none', '--disabled');
    noted([qr/^partner "none" is disabled already$/], 'partner', 'change',
        'none', '--disabled');
    noted([], 'partner', 'change', 'none', '--enabled');
    noted([qr/^partner "none" is enabled already$/], 'partner', 'change',
        'none', '--enabled');
}

sub keys_ {
    noted([], 'key', 'create', 'acme', '--scopes=read');
    my ($id) = $out =~ /^esk_(.{10})/;
    noted([], 'key', 'revoke', $id);
    noted([qr/^key "$id" is revoked already$/], 'key', 'revoke', $id);
    noted([qr/^the key can publish to no feed: "partner change acme --publish/],
        'key', 'create', 'acme', '--scopes=read,publish');
    noted([qr/^the key can read no feed/], 'key', 'create', 'acme',
        '--scopes=read', '--feeds=prices');
    $t->ctl_ok('partner', 'change', 'none', '--disabled');
    noted([qr/^the key can publish/, qr/^partner none is disabled/], 'key',
        'create', 'none', '--scopes=publish');
}

sub without_dispatcher {
    my $open = 'https://a.example/h';
    noted([$none], @acme, "--url=$open");
    my ($name) = $out =~ /^(ep_\w+)/;
    noted([], 'endpoint', 'change', $name, '--timeout=9s');
    noted([qr/^no option was given: .* only a stopped endpoint starts again$/],
        'endpoint', 'change', $name);

    noted([qr/^the URL is http:\/\/, and neither .*: eventsyncctl endpoint change ep_\w+ --allow-http=yes$/,
        qr/^neither .* allows port 80: .* --allow-ports=80$/,
        qr/started with --allow-http --allow-port=80$/], @acme,
        '--url=http://a.example/');
    noted([qr/^127\.0\.0\.1 is not a public address.*: .* --allow-addresses=127\.0\.0\.1$/,
        qr/started with --allow-address=127\.0\.0\.1$/], @acme,
        '--url=HTTPS://127.0.0.1:8443/h');
    noted([qr/started with --allow-http --allow-port=80 --allow-address=127\.0\.0\.1$/],
        @acme, '--url=http://127.0.0.1/h', '--allow-http=yes', '--allow-ports=80',
        '--allow-addresses=127.0.0.1');

    noted([qr/^partner acme may read no feed that "prices" matches.*"partner change acme --feeds/,
        $none], @acme[0 .. 2], "--url=$open", '--feeds=prices,orders');
    noted([qr/^there is no feed "x-\*" yet$/, qr/^there is no feed "y" yet$/,
        $none], 'endpoint', 'change', $name, '--feeds=x-*,y,orders');
    noted([$none], 'endpoint', 'change', $name, '--types=order.*',
        '--feeds=orders');
    $t->ctl_ok({ stdin => '{}' }, qw(type register order.created 1.0.0));
    noted([$none], 'endpoint', 'change', $name, '--types=order.*,order.created');
    noted([qr/^the catalogue has no type "price\.\*"$/,
        qr/^the catalogue has no type "order"$/, $none], 'endpoint', 'change',
        $name, '--types=price.*,order,order.created');

    noted([], 'endpoint', 'simulate', $name, '--failure=reset');
    noted([], 'endpoint', 'simulate', $name, '--failure=none');
    noted([qr/^endpoint "$name" has no simulated failure$/], 'endpoint',
        'simulate', $name, '--failure=none');
    noted([], 'endpoint', 'pause', $name);
    noted([qr/^endpoint "$name" is paused already$/], 'endpoint', 'pause', $name);
    noted([qr/^the endpoint is paused, and is sent nothing until "endpoint resume $name"$/,
        $none], 'endpoint', 'replay', $name, 'orders', '--from=oldest');
    noted([qr/^the catalogue/, qr/^the catalogue/, $none], 'endpoint', 'resume',
        $name);
    noted([qr/^endpoint "$name" was neither paused nor stopped$/,
        qr/^the catalogue/, qr/^the catalogue/, $none], 'endpoint', 'resume',
        $name);
    $t->ctl_ok('partner', 'change', 'none', '--feeds=orders');
    noted([qr/^partner none is disabled/, $none], 'endpoint', 'create', 'none',
        "--url=$open", '--feeds=orders');
    $t->ctl_ok('endpoint', 'remove', $_) for map { decode_json($_)->{name} }
        split /\n/, $t->ctl_ok('endpoint', 'list', '--json');
}

sub with_dispatcher {
    my $recv = $t->receiver(sub { { status => 410 } });
    $t->run_dispatcher;
    ok(wait_for(sub { !grep { /no dispatcher/ } @{ notes(@acme,
        '--url=https://a.example/h') } }, 20), 'a dispatcher runs');
    noted([], @acme, '--url=https://b.example/h');
    my ($quiet) = $out =~ /^(ep_\w+)/;
    noted([qr/^the endpoint has no dead letter$/], 'endpoint', 'redrive', $quiet);

    noted([qr/^10\.0\.0\.1 is not .*the dispatcher was not started.*: start eventsync-dispatcher with --allow-address=10\.0\.0\.1$/],
        @acme, '--url=https://10.0.0.1/h', '--allow-addresses=10.0.0.0/8');

    # A stopped endpoint is resumed for a reason.
    noted([], @acme, '--url=' . $recv->url, '--allow-http=yes',
        '--allow-addresses=127.0.0.1');
    my ($name) = $out =~ /^(ep_\w+)/;
    $t->ctl_ok({ stdin => $t->event(id => 'gone') }, 'publish', 'orders');
    ok(wait_for(sub { $t->ctl_ok('endpoint', 'status', $name) =~ /stopped/ }, 20),
        'an endpoint is stopped');
    noted([], 'endpoint', 'resume', $name);
    $t->stop_dispatcher;
}

sub feeds {
    noted([qr/^no option was given: the feed stays/], 'feed', 'change', 'orders');
    noted([], 'feed', 'change', 'orders', '--retain-count=9');
    my $first = decode_json((split /\n/, $t->ctl_ok('tail', 'orders'))[0])->{cursor};
    noted([qr/^the feed has no event before "\Q$first\E"$/], 'feed', 'trim',
        'orders', "--before=$first");
    noted([qr/^the input has no event$/], { stdin => "\n" }, 'publish', 'orders');
    noted([qr/^there is no feed "no" yet$/], 'type', 'change', 'order.created',
        '--feeds=orders,no,x-*');
    noted([qr/^there is no feed "no" yet$/], { stdin => '{}' }, 'type',
        'register', 'order.created', '1.1.0', '--feeds=no');
}

sub ways {
    my @args = ('partner', 'create', 'x', '--feeds=nothing');
    my ($rc, $text, $err) = $t->ctl(@args, '--json');
    is_deeply(decode_json($text)->{notes}, ['there is no feed "nothing" yet'],
        'a document has the notes');
    is_deeply(decode_json($err), { note => 'there is no feed "nothing" yet' },
        'and each is a line of JSON');
    ($rc, $text, $err) = $t->ctl(@args[0, 1], 'y', '--feeds=nothing', '--quiet');
    is("$rc$text$err", '0', '--quiet leaves them out');
    ($rc, $text, $err) = $t->ctl('endpoint', 'create', 'y', '--feeds=nothing',
        '--url=http://a.example/h', '--quiet', '--json');
    is($err, '', 'also those about an endpoint');
    ok(!exists decode_json($text)->{notes}, 'and of a document');
}
