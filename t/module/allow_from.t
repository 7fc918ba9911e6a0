#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# The addresses from which a key may be used: lists of keys and of partners, on
# every route, for tokens and links too, while a request waits, and with clients
# that have no address.

use warnings;
use strict;

use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Reader;

my $t = Test::Eventsync->new(workers => 2);

# nginx from plain sources has no realip module.
plan skip_all => 'no realip module'
    if `@{[ $t->nginx_binary ]} -V 2>&1` !~ /http_realip_module/;

$t->store_init->feed('prices')->feed('orders');
my $acme = $t->partner_key('acme', feeds => 'prices', publish => 'prices',
    scopes => 'read,publish,ack,manage,admin');
my $other = $t->partner_key('acme', scopes => 'read');
my $bolt = $t->partner_key('bolt', feeds => 'prices');

$t->write_file('tokens.jwk', '{"keys":[{"kty":"oct","alg":"HS256","kid":"one",'
    . '"k":"MTExMTExMTExMTExMTExMTExMTExMTExMTExMTExMTE"}]}');
chmod 0600, $t->testdir . '/tokens.jwk';

my $everything = join "\n            ", map { "eventsync_$_ on;" }
    qw(poll publish feeds catalogue checkpoints endpoints status operator
    metrics health openapi dashboard authorize backfill
    snapshot pages);
$t->write_file_expand('nginx.conf', <<'CONF' =~ s/%%ALL%%/$everything/r);
events { }
http {
    eventsync_store %%STORE%%;
    eventsync_token_keys %%TESTDIR%%/tokens.jwk;
    eventsync_sse on;
    set_real_ip_from 127.0.0.1;
    real_ip_header X-Client;
    server {
        listen 127.0.0.1:%%PORT_0%% reuseport;
        location /v1/ {
            %%ALL%%
            eventsync_token on;
        }
        location /ops/ {
            eventsync_metrics on;
            eventsync_auth off;
        }
        location /gate/ {
            eventsync_poll on;
            eventsync_limit address rate=1r/d burst=3;
        }
    }
    server {
        listen unix:%%TESTDIR%%/nginx.sock;
        location /v1/ { eventsync_poll on; }
        location /real/ {
            eventsync_poll on;
            set_real_ip_from unix:;
        }
    }
    server {
        listen [::]:%%PORT_1%% ipv6only=off;
        real_ip_header X-None;
        location /v1/ { eventsync_poll on; }
    }
}
CONF
$t->run_nginx;

my $prices = '/v1/feeds/prices/events';
my $forbidden = 'The credential may not be used from this address.';

sub id { return substr $_[0], 4, 10 }

sub header {
    my ($key, $from) = @_;
    return { authorization => "Bearer $key",
        $from ? ('x-client' => $from) : () };
}

sub get {
    my ($key, $from, $path) = @_;
    return $t->http(GET => $path // $prices, header($key, $from));
}

sub json { return Test::Eventsync::json($_[0]{body}) // {} }

sub allow { return $t->ctl_ok('key', 'change', id($acme), "--allow-from=$_[0]") }

sub refused {
    my ($answer, $name) = @_;
    is($answer->{status}, 403, $name);
    is(json($answer)->{detail}, $forbidden, "$name: its reason");
    unlike($answer->{body}, qr/\d\.\d|acme|prices/, "$name: names no list");
    return;
}

lists();
order();
routes();
tokens();
links();
waits();
limited();
sockets();
commands();

done_testing();

###############################################################################

# Both lists hold, in every worker at once.
sub lists {
    is(get($acme, '203.0.113.9')->{status}, 200, 'no list: every address');
    allow('203.0.113.0/24,2001:db8:7::/48');
    my %seen;
    $seen{ get($acme, '203.0.113.255')->{status} }++ for 1 .. 8;
    is(join(' ', keys %seen), '200', 'an address of a range');
    %seen = ();
    $seen{ get($acme, '203.0.114.1')->{status} }++ for 1 .. 8;
    is(join(' ', keys %seen), '403', 'one behind it, in all workers at once');
    is(get($acme, '2001:db8:7:1::1')->{status}, 200, 'IPv6');
    refused(get($acme, '2001:db8:8::1'), 'IPv6 of another network');
    is(get($acme, '::ffff:203.0.113.7')->{status}, 200,
        'IPv4 in the form of IPv6');
    refused(get($acme, '::ffff:203.0.114.7'), 'IPv4 in that form, of others');
    is(get($other, '203.0.114.1')->{status}, 200, 'another key has no list');

    $t->ctl_ok('partner', 'change', 'acme', '--allow-from=203.0.113.128/25');
    refused(get($acme, '203.0.113.1'), 'only in the list of the key');
    refused(get($other, '203.0.113.1'), 'a key without a list');
    is(get($acme, '203.0.113.200')->{status}, 200, 'in both lists');
    is(get($bolt, '203.0.113.1')->{status}, 200, 'another partner');
    $t->ctl_ok('partner', 'change', 'acme', '--allow-from=any');
    allow('any');
    is(get($acme, '203.0.114.1')->{status}, 200, 'any removes the lists');
    return;
}

# What a wrong address hides, and what a wrong key shows.
sub order {
    allow('192.0.2.1');
    my $wrong = $acme =~ s/(.)$/$1 eq 'a' ? 'b' : 'a'/er;
    my $unlisted = $other =~ s/(.)$/$1 eq 'a' ? 'b' : 'a'/er;
    my $first = get($wrong, '198.51.100.1');
    is($first->{status}, 401, 'a wrong secret');
    is(json($first)->{detail},
        json(get($unlisted, '198.51.100.1'))->{detail},
        'says the same whether or not its key has a list');

    my $known = get($acme, '198.51.100.1');
    my $none = get($acme, '198.51.100.1', '/v1/feeds/none/events');
    my $theirs = get($acme, '198.51.100.1', '/v1/feeds/orders/events');
    refused($known, 'the right secret');
    is($none->{body}, $known->{body}, 'a feed that is not there');
    is($theirs->{body}, $known->{body}, 'a feed of somebody else');
    ok(!defined $known->{headers}{'www-authenticate'}, 'asks for no scope');

    my $gone = $t->partner_key('acme', scopes => 'read');
    $t->ctl_ok('key', 'change', id($gone), '--allow-from=192.0.2.1');
    $t->ctl_ok('key', 'revoke', id($gone));
    refused(get($gone, '198.51.100.1'), 'a revoked key from elsewhere');
    is(get($gone, '192.0.2.1')->{status}, 401, 'and from where it may');
    ok($t->logged('error.log',
        qr/\[warn\].* eventsync key "@{[ id($acme) ]}" may not be used from "198\.51\.100\.1"/),
        'the log says which key, and from where');
    return;
}

# Every operation of the OpenAPI document that takes a credential in the header
# field of bearers.
sub routes {
    my $openapi = Test::Eventsync::json(
        $t->http(GET => '/v1/openapi.json', header($acme, '192.0.2.1'))->{body});
    my ($n, @open) = (0);

    for my $path (grep { $_ ne '/token' } sort keys %{ $openapi->{paths} }) {
        for my $method (grep { /^(get|post|put|patch|delete|head)$/ }
            sort keys %{ $openapi->{paths}{$path} })
        {
            my $operation = $openapi->{paths}{$path}{$method};
            next if @{ $operation->{security} // [1] } == 0;
            my $uri = '/v1' . $path =~ s/\{n\}/1/r =~ s/\{epoch\}/abcdefgh/r
                =~ s/\{[^}]+\}/x1/gr;
            my $answer = $t->http(uc $method => $uri,
                { %{ header($acme, '198.51.100.1') },
                  'content-type' => 'application/json' },
                $method =~ /^p/ ? '{}' : undef);
            $n++;
            push @open, "$method $path: $answer->{status}"
                if $answer->{status} != 403
                || ($method ne 'head'
                    && (json($answer)->{detail} // '') ne $forbidden);
        }
    }
    cmp_ok($n, '>', 30, 'operations that take a credential');
    is_deeply(\@open, [], 'each refuses it from a wrong address')
        or diag(join "\n", @open);
    return;
}

sub token {
    my ($from) = @_;
    return $t->http(POST => '/v1/token',
        { 'content-type' => 'application/x-www-form-urlencoded',
          'x-client' => $from },
        'grant_type=client_credentials&client_id=' . id($acme)
        . "&client_secret=$acme");
}

# A token is judged by the lists of its key and partner, as they are now.
sub tokens {
    refused(token('198.51.100.1'), 'no token for another address');
    my $token = json(token('192.0.2.1'))->{access_token};
    is(get($token, '192.0.2.1')->{status}, 200, 'a token');
    refused(get($token, '198.51.100.1'), 'a token from elsewhere');
    allow('198.51.100.0/24');
    is(get($token, '198.51.100.1')->{status}, 200, 'after a change of the list');
    refused(get($token, '192.0.2.1'), 'a token from where it was given');
    $t->ctl_ok('partner', 'change', 'acme', '--allow-from=192.0.2.0/24');
    refused(get($token, '198.51.100.1'), 'a token, by the partner\'s list');
    $t->ctl_ok('partner', 'change', 'acme', '--allow-from=any');
    allow('any');
    return;
}

# A link is opened, and its session used, where the partner's keys may be.
sub links {
    my $url = $t->ctl_ok('dashboard', 'link', 'bolt',
        '--url=https://events.example/v1');
    my ($link) = $url =~ /(esl_\S+)/;
    my $redeem = sub {
        return $t->http(POST => '/v1/dashboard/session', { 'x-client' => $_[0],
            'content-type' => 'application/json' }, qq({"link":"$link"}));
    };
    $t->ctl_ok('partner', 'change', 'bolt', '--allow-from=192.0.2.0/24');
    refused($redeem->('198.51.100.1'), 'a link from elsewhere');
    my $session = json($redeem->('192.0.2.1'))->{access_token};
    ok($session, 'still works once from where it may');
    is(get($session, '192.0.2.1', '/v1/status')->{status}, 200, 'its session');
    refused(get($session, '198.51.100.1', '/v1/status'), 'from elsewhere');
    refused($redeem->('198.51.100.1'), 'a used link from elsewhere');
    $t->ctl_ok('partner', 'change', 'bolt', '--allow-from=any');
    return;
}

# Requests under way end when the list no longer has their address.
sub waits {
    my $call = $t->http_start(GET => "$prices?from=latest&wait=30",
        header($acme, '192.0.2.1'));
    $t->waiting(1);
    allow('192.0.2.0/24');
    $t->waiting(1);
    allow('198.51.100.1');
    my $answer = $t->http_end($call);
    refused($answer, 'a request that waits');
    cmp_ok($answer->{seconds}, '<', 20, 'does not wait to its end');

    $t->ctl_ok('partner', 'change', 'bolt', '--allow-from=192.0.2.0/24');
    my $reader = Test::Eventsync::Reader->new($t, "$prices?from=latest", $bolt,
        'x-client' => '192.0.2.1');
    $reader->await(sub { @{ $_[0]{all} } });
    $t->waiting(1, 'stream');
    $t->ctl_ok('partner', 'change', 'bolt', '--allow-from=198.51.100.1');
    $reader->await(sub { $_[0]->problem });
    is(($reader->problem // {})->{status}, 403, 'a stream ends with a problem');
    is(($reader->problem // {})->{detail}, $forbidden, 'which says why');
    $t->ctl_ok('partner', 'change', 'bolt', '--allow-from=any');
    return;
}

# Attempts from a wrong address count as failures of that address.
sub limited {
    my $gate = '/gate/feeds/prices/events';
    allow('192.0.2.1');
    is(get($acme, '198.51.100.9', $gate)->{status}, 403, "attempt $_")
        for 1 .. 3;
    is(get($acme, '198.51.100.9', $gate)->{status}, 429, 'the address is limited');
    is(get($bolt, '198.51.100.9', $gate)->{status}, 429, 'for every key');
    is(get($acme, '192.0.2.1', $gate)->{status}, 200, 'the key is not');
    return;
}

# A client of a Unix socket has no address; a zone id is none.
sub sockets {
    my $sock = IO::Socket::UNIX->new(Peer => $t->testdir . '/nginx.sock')
        or die "no connection: $!\n";
    my $ask = sub {
        my ($place, @fields) = @_;
        my $s = IO::Socket::UNIX->new(Peer => $t->testdir . '/nginx.sock');
        $t->send_all($s, join "\r\n", "GET $place/feeds/prices/events HTTP/1.1",
            'Host: x', "Authorization: Bearer $acme", 'Connection: close',
            @fields, '', '');
        return substr $t->read_all($s), 9, 3;
    };
    is($ask->('/v1'), 403, 'a Unix socket is in no list');
    allow('0.0.0.0/0,::/0');
    is($ask->('/v1'), 403, 'even if all addresses are');
    allow('any');
    is($ask->('/v1'), 200, 'without a list it is no matter');
    allow('192.0.2.1');
    is($ask->('/real', 'X-Client: 192.0.2.1'), 200,
        'realip may know the address');
    is($ask->('/real', 'X-Client: 192.0.2.2'), 403, 'or another one');

    my $sees = sub {
        my $s = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
            PeerPort => $t->port(1)) or die "no connection: $!\n";
        $t->send_all($s, "GET $prices HTTP/1.1\r\nHost: x\r\n"
            . "Authorization: Bearer $acme\r\nConnection: close\r\n\r\n");
        return substr $t->read_all($s), 9, 3;
    };
    allow('127.0.0.1');
    is($sees->(), 200, 'IPv4 at a socket of both families');
    allow('::/0');
    is($sees->(), 403, 'is no IPv6');
    return;
}

# What the commands refuse, and that nothing is changed then.
sub commands {
    allow('192.0.2.1');
    my $list = sub {
        return (grep { $_->{name} eq id($acme) }
            map { Test::Eventsync::json($_) }
            split /\n/, $t->ctl_ok('key', 'list', '--json'))[0]{allow_from};
    };
    for my $bad (['10.0.0.1,localhost', qr{/allow_from/1: \S+ must be an address}],
        ['10.0.0.0/33', qr{/allow_from/0: \S+ must be an address}],
        ['fe80::1%lo', qr{/allow_from/0: \S+ must be an address}],
        ['10.1.2.3/8', qr{/allow_from/0: \S+ is a range whose address has bits}],
        ['2001:db8::1/32', qr{/allow_from/0: \S+ is a range whose address has bits}],
        ['::ffff:10.0.0.1', qr{/allow_from/0: \S+ must be written as an IPv4}],
        [join(',', map { "10.0.0.$_" } 1 .. 65), qr{/allow_from: }],
        ['', qr{"--allow-from" names no address; --allow-from=any}],
        [',', qr{"--allow-from" names no address}])
    {
        for my $what (['key', id($acme)], ['partner', 'acme']) {
            my ($rc, $out, $err) = $t->ctl($what->[0], 'change', $what->[1],
                "--allow-from=$bad->[0]");
            isnt($rc, 0, "$what->[0]: \"$bad->[0]\" is refused");
            like($err, $bad->[1], 'with its reason');
        }
    }
    is_deeply($list->(), ['192.0.2.1'], 'and the list is as before');
    my $made = $t->ctl_ok('key', 'create', 'acme', '--scopes=read',
        '--allow-from=203.0.113.7');
    chomp $made;
    is(get($made, '203.0.113.7')->{status}, 200, 'a key made with a list');
    refused(get($made, '203.0.113.8'), 'a key made with one');
    $t->ctl_ok('key', 'create', 'acme', '--scopes=read', '--allow-from=any');
    $t->ctl_ok('partner', 'create', 'new', '--allow-from=192.0.2.0/24');
    is_deeply(Test::Eventsync::json($t->ctl_ok('partner', 'show', 'new'))
        ->{allow_from}, ['192.0.2.0/24'], 'a partner made with a list');
    return;
}
