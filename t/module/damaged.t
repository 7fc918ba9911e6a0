#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Nothing falls open: a record in which any member is damaged admits nobody and
# is sent nothing, nor does a registry that is missing or garbled, and nginx does
# not start without a file that a control needs.

use warnings;
use strict;

use JSON::PP;
use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);

my $json = JSON::PP->new->canonical->utf8;
my $t = Test::Eventsync->new;
my $damage = $t->build . '/helper/damage';
plan(skip_all => 'the helper has no sanitizer') if !-x $damage;

$t->store_init->feed($_) for 'orders';
$t->feed('ops');
my @partner = (feeds => 'orders', publish => 'orders', limit_poll => '1000r/s,burst=9999',
    quota_keys => 9, operations => 'ops', allow_ports => '1024',
    allow_from => '127.0.0.0/8', fields => '{"orders":{"allow":["/id"]}}');
$t->partner('acme', @partner);
my ($key) = $t->ctl_ok(qw(key create acme --label=x --feeds=orders --consumers=c
    --allow-from=127.0.0.1 --expires=2099-01-01T00:00:00Z),
    '--scopes=read,publish,ack,manage') =~ /(esk_\S+)/;
my $other = $t->partner_key('bolt', feeds => 'orders', publish => 'orders');
my ($id) = $key =~ /^esk_(\w{10})_/;
$t->ctl_ok(qw(partner data-use acme --purpose=test --feeds=orders --retention-days=9),
    '--expires=2099-01-01T00:00:00Z');
my $recv = $t->receiver(200);
my %name = map { $_ => scalar $t->endpoint($_, url => $recv->url("/$_"), feeds => 'orders',
    $_ eq 'acme' ? (types => 'test.*', allow_addresses => '127.0.0.0/8', allow_http => 'yes',
        fields => '{"orders":{"allow":["/id"]}}') : ()) } qw(acme bolt);
my ($link) = $t->ctl_ok(qw(dashboard link acme --url=https://x.example/v1)) =~ /(esl_\S+)/;
$t->default_conf(location => 'eventsync_endpoints on; eventsync_dashboard on;
    eventsync_status on;');
$t->run_nginx;
$t->allow_errors(qr/./);

my $about = qr/^(?:label|created|revision|fields)$/;
my @ask = ([ GET => 'feeds/orders/events' ], [ GET => 'feeds' ], [ GET => 'status' ],
    [ GET => 'endpoints' ], [ GET => "endpoints/$name{acme}" ]);

sub statuses {
    my ($with) = @_;
    return join ' ', map { $t->http($_->[0], "/v1/$_->[1]",
        { authorization => "Bearer $with" })->{status} } @ask;
}
sub put {
    my ($record, $text) = @_;
    system($damage, $t->store . '/registry', 'objects', $record, $text) == 0 or die;
}

records();
link_record();
endpoints();
without();
configuration();
done_testing();

###############################################################################

# What a member can be damaged to: a value of another type, null, or nonsense of
# the same type.
sub wrong {
    my ($value) = @_;
    return (undef, ref $value eq 'ARRAY' ? (7, [ '' ], [ 'A b' ]) : ref $value eq 'HASH'
        ? [ 7 ] : JSON::PP::is_bool($value) ? 'no' : $value =~ /^\d+$/ ? 'x'
        : (7, [], ''));
}

# Each member of a partner and a key in turn, but those that say nothing of
# access.  A damaged list of fields lets no event through: t/ctl/fields.t.
sub records {
    my %record = ("pacme" => $json->decode($t->ctl_ok(qw(partner show acme))),
        "k$id" => (grep { $_->{name} eq $id } map { $json->decode($_) }
            split /\n/, $t->ctl_ok(qw(key list --json)))[0]);
    is(statuses($key), '200 200 200 200 200', 'good records');

    for my $name (sort keys %record) {
        my %good = %{ $record{$name} };
        delete @good{qw(name last_used)};
        cmp_ok(scalar keys %good, '>', 8, "$name: members");
        my %text = (garbled => '{"partner":', empty => '{}', 'a list' => '[]', 'a text' => 'x',
            nothing => "\0");
        for my $member (grep { !/$about/ && ($_ ne 'number' || $name eq 'pacme') }
            sort keys %good) {
            my $n = 0;
            $text{"$member " . ++$n} = $json->encode({ %good, $member => $_ })
                for wrong($good{$member});
        }
        my @open;
        for my $what (sort keys %text) {
            put($name, $text{$what});
            my $got = statuses($key);
            push @open, "$what: $got: $text{$what}" if $got =~ /2\d\d/;
        }
        is(join("\n", @open), '', "$name: any damaged member refuses all");
        is((split / /, statuses($other))[0], 200, '... and nobody else');
        put($name, $json->encode(\%good));
        is(statuses($key), '200 200 200 200 200', '... and the good record is good again');
    }
}

# A link that is damaged opens nothing.
sub link_record {
    my ($is) = map { $json->decode($_) } $t->ctl_ok(qw(dashboard links --json));
    my $redeem = sub { return $t->http(POST => '/v1/dashboard/session',
        { 'content-type' => 'application/json' }, qq({"link":"$link"}))->{status} };
    my ($record) = $link =~ /^esl_(\w{10})/;
    my %good = (partner => 'acme', digest => 'f' x 64, link => 'f' x 64, scopes => ['read'],
        expires => '2099-01-01T00:00:00Z');
    for my $text ('{}', 'x', $json->encode(\%good),
        map { $json->encode({ %good, %$_ }) } { scopes => 7 }, { expires => 'x' },
        { link => undef }, { partner => 'nobody' }, { digest => 'x' })
    {
        put("k$record", $text);
        like($redeem->(), qr/^[45]/, 'a damaged link opens nothing');
    }
    put("k$record", 'remove');
}

# A dispatcher does not start with a record that it cannot read, and one that
# runs says so.
sub endpoints {
    my $is = $json->decode($t->ctl_ok(qw(endpoint show), $name{acme}));
    delete $is->{name};
    my $good = $json->encode($is);
    for my $text ('x', '{}', $good =~ s/"types":\[[^]]*\]/"types":7/r,
        $good =~ s/"feeds":\[[^]]*\]/"feeds":null/r)
    {
        isnt($text, $good, 'a damaged record of an endpoint');
        put("e$name{acme}", $text);
        my $dispatcher = $t->run_dispatcher;
        is($dispatcher->wait(30), 1, '... keeps the dispatcher from starting');
        put("e$name{acme}", $good);
    }
    my $dispatcher = $t->run_dispatcher;
    $t->publish('orders', { key => $other }, { id => 'first', data => { id => 1, no => 2 } });
    ok(wait_for(sub { 2 == grep { $_->{body} =~ /first/ } $recv->requests }, 30),
        'with a good one it sends');
    put("e$name{acme}", 'x');
    ok(wait_for(sub { $dispatcher->stderr =~ /error: .*regist/ }, 30),
        'one that runs says that it goes on by the records from before');
    put("e$name{acme}", $good);
    $t->stop_dispatcher;
}

# A worker without a registry that it can read answers nobody.
sub without {
    $t->stop_nginx;
    my $registry = $t->store . '/registry';
    rename $registry, "$registry.away" or die;
    for my $what ('is missing', 'is empty', 'has no file', 'is garbled') {
        mkdir $registry if $what ne 'is missing';
        my $data = "$registry/data.mdb";
        if ($what eq 'is empty' || $what eq 'is garbled') {
            open my $out, '>', $data or die;
            print $out 'x' x 65536 if $what eq 'is garbled';
            close $out;
        }
        my $checked = eval { $t->run_nginx; statuses($other) } // 'does not start';
        unlike($checked, qr/2\d\d/, "a registry that $what: $checked");
        $t->stop_nginx;
        system('rm', '-rf', $registry);
    }
    rename "$registry.away", $registry or die;
    $t->run_nginx;
    is((split / /, statuses($other))[0], 200, 'the registry is back');
    $t->stop_nginx;
}

# Each file that a control reads.
sub configuration {
    my %needs = (eventsync_key_file => '%s', eventsync_token_keys => '%s',
        eventsync_issuer => 'i jwks=%s aud=a partner=acme');
    $t->write_file('garbled', "\x01\x02 x");
    $t->write_file('empty', '');
    chmod 0600, $t->testdir . "/$_" for qw(garbled empty);
    for my $directive (sort keys %needs) {
        for my $file (qw(missing garbled empty)) {
            my ($rc, $out) = $t->check_conf("events { }\nhttp {\neventsync_store %%STORE%%;\n"
                . "$directive " . sprintf($needs{$directive}, $t->testdir . "/$file")
                . ";\nserver { listen 127.0.0.1:%%PORT_2%%; location /v1/ {\neventsync_poll on;\n"
                . "eventsync_endpoints on;\n} } }\n");
            isnt($rc, 0, "$directive: a $file file stops nginx");
            like($out, qr/\Q$file\E/, '... which names it');
        }
    }
}
