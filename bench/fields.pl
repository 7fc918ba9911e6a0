# SPDX-License-Identifier: BSD-2-Clause

# Benchmark of bench/run: what a field list costs a poll.

use warnings;
use strict;

our ($t, $rounds, $seconds, %opt);

# Polls of 100 events by two partners of one feed, one of them under a list of
# ten pointers: 500 pages that no cache has, and one page again and again.
sub field_policy {
    my $n = $opt{quick} ? 2000 : 20_000;
    my ($key, $base) = serve(0);
    my $listed = $t->partner_key('listed', feeds => '*');
    my @list = (qw(/order/id /order/state /order/total /customer/number
        /items/*/sku /items/*/quantity /shipping/carrier /shipping/days
        /payment/method), '/notes/*/at');
    $t->ctl_ok(qw(partner change listed), '--fields={"bench":{"allow":['
        . join(',', map { qq("$_") } @list) . ']}}');

    my $in = '';
    for my $i (1 .. $n) {
        $in .= qq({"specversion":"1.0","id":"f-$i","source":"/shop","type":)
            . qq("order.updated","subject":"order/$i","data":{"order":{"id":$i,)
            . qq("state":"paid","total":"19.90","margin":"4.10"},"customer":{)
            . qq("number":"c-$i","name":"Erika Mustermann","mail":)
            . qq("erika\@example.com"},"items":[{"sku":"A-7","quantity":2,)
            . qq("cost":"1.10"},{"sku":"B-2","quantity":1,"cost":"3.40"}],)
            . qq("shipping":{"carrier":"post","days":3,"address":"Heidestr. 17"},)
            . qq("payment":{"method":"card","number":"4111111111111111"},"notes":)
            . qq([{"at":"2026-12-01","text":"call before delivery"}]}}\n);
    }
    $t->ctl_ok({ stdin => $in }, 'publish', 'bench');

    my $epoch = ($t->json_get('/v1/feeds/bench', $key) or die "no feed\n")->{epoch};
    my @paths = map { "/v1/feeds/bench/events?after=$epoch-" . $_ * ($n - 200) / 500
        . '&limit=100' } map { int } 0 .. 499;
    s/-(\d+)\.\d+/-$1/ for @paths;
    my %key = (plain => $key, listed => $listed);
    my $script = $t->write_file('many.lua', 'local paths = {'
        . join(',', map { qq("$_") } @paths) . "}\nlocal i = 0\n"
        . "request = function()\n  i = i % #paths + 1\n"
        . "  return wrk.format(nil, paths[i])\nend\n");
    my %sides;
    for my $who (sort keys %key) {
        my @headers = ("Authorization: Bearer $key{$who}");
        my $body = $t->http(GET => $paths[1], { authorization =>
            "Bearer $key{$who}" })->{body};
        die "$who: not as it should be\n" if ($body =~ /Mustermann/ xor $who eq 'plain')
            || (() = $body =~ /"specversion"/g) != 100;
        printf "  100 events, %s: %d bytes\n", $who, length $body;
        $sides{"$who-many"} = sub { wrk(url => $base, seconds => $seconds,
            headers => \@headers, script => $script) };
        $sides{"$who-one"} = sub { wrk(url => $base . $paths[1],
            seconds => $seconds, headers => \@headers) };
    }

    my $v = alternate($rounds, %sides);
    table('requests/s', map { ["$_->[0], $_->[1] pages", $v->{"$_->[2]-$_->[3]"}] }
        ['no list', 500, 'plain', 'many'], ['ten pointers', 500, 'listed', 'many'],
        ['no list', 1, 'plain', 'one'], ['ten pointers', 1, 'listed', 'one']);
    verdict('field-policy (repeats)', ratio($v->{'listed-one'}, $v->{'plain-one'}),
        '>= 0.9');
    verdict('field-policy', ratio($v->{'listed-many'}, $v->{'plain-many'}), '>= 0.4');
}


# The first and the repeated poll of pages of 100 events with one encrypted
# field each, and the poll of a partner whose fields are not encrypted.
sub field_encrypt {
    my $pages = $opt{quick} ? 3 : 30;
    my ($key) = serve(0);
    my $sealed = $t->partner_key('sealed', feeds => '*');
    my $jwk = $t->write_file('sealed.jwk', '{"kty":"EC","crv":"P-256","kid":"k",'
        . '"x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",'
        . '"y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}');
    $t->ctl_ok(qw(partner change sealed), "--encryption-key=$jwk",
        '--fields={"bench":{"encrypt":["/mail"]}}');
    $t->ctl_ok({ stdin => join '', map { qq({"specversion":"1.0","id":"e-$_",)
        . qq("source":"/shop","type":"t","data":{"n":$_,"mail":"a$_\@b.example"}}\n)
        } 1 .. 100 * $pages }, 'publish', 'bench');
    my $epoch = ($t->json_get('/v1/feeds/bench', $key) or die "no feed\n")->{epoch};

    my $poll = sub {
        my ($who) = @_;
        my @ms;
        for my $page (0 .. $pages - 1) {
            my $start = Time::HiRes::time();
            my $answer = $t->http(GET => "/v1/feeds/bench/events?after=$epoch-"
                . 100 * $page . '&limit=100', { authorization => "Bearer $who" });
            push @ms, 1000 * (Time::HiRes::time() - $start);
            die "not as it should be\n" if ($answer->{body} =~ /b\.example/
                xor $who eq $key) || (() = $answer->{body} =~ /"mail"/g) != 100;
        }
        return (sort { $a <=> $b } @ms)[@ms / 2];
    };
    my %ms = (first => $poll->($sealed), again => $poll->($sealed),
        plain => $poll->($key));
    printf "  100 events with an encrypted field: first %.1f ms, again %.1f ms;"
        . " not encrypted %.1f ms (medians of %d pages)\n",
        @ms{qw(first again plain)}, $pages;
}

1;
