#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Registry, checkpoints and delivery state at map_max: what is added is refused
# with words that say what is full, and every removal gives room back.

use warnings;
use strict;

use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Webhooks;

registry();
checkpoints();
delivery();
discarded();
raised();

done_testing();

###############################################################################

sub small_maps {
    my ($t, $max) = @_;
    my $format = $t->read_file('store/format');
    $format =~ s/^map_initial \d+$/map_initial 262144/m;
    $format =~ s/^map_max \d+$/map_max $max/m;
    $t->write_file('store/format', $format);
}

sub works {
    my ($t, $name, @command) = @_;
    my ($rc, undef, $err) = $t->ctl(@command);
    is($rc, 0, $name) or diag($err);
}

sub registry {
    my $t = webhook_store();
    small_maps($t, 1048576);
    my $endpoint = $t->endpoint('acme', url => 'https://127.0.0.1/',
        feeds => 'orders');
    my ($old) = $t->partner_key('other', feeds => 'orders')
        =~ /^esk_([a-z2-7]+)_/;
    my ($new) = $t->partner_key('other') =~ /^esk_([a-z2-7]+)_/;

    my $schema = '{"description":"' . 'x' x 60_000 . '"}';
    my ($rc, $err);
    for my $n (1 .. 100) {
        ($rc, undef, $err) = $t->ctl({ stdin => $schema }, 'type', 'register',
            "t$n", '1.0.0');
        last if $rc;
    }
    for my $n (1 .. 500) {
        ($rc, undef, $err) = $t->ctl('partner', 'create', "p$n",
            '--feeds=' . join ',', map { "f$_-" . 'x' x 40 } 1 .. 40);
        last if $rc;
    }
    is($rc, 1, 'registry: nothing more can be added in the end');
    like($err, qr/store full: registry\/ has reached map_max \(1048576 bytes\)/,
        'registry: the message says what is full');

    works($t, 'registry: a key can be revoked', 'key', 'revoke', $old);
    works($t, 'registry: a partner can be disabled', 'partner', 'change',
        'acme', '--disabled');
    works($t, 'registry: an endpoint can be paused', 'endpoint', 'pause',
        $endpoint);
    works($t, 'registry: dead letters can be discarded', 'endpoint', 'discard',
        $endpoint, '--expect=0');
    works($t, 'registry: a key can be removed', 'key', 'remove', $_)
        for $old, $new;
    works($t, 'registry: an endpoint can be removed', 'endpoint', 'remove',
        $endpoint);
    works($t, 'registry: a partner can be removed', 'partner', 'remove', $_)
        for 'other', 'acme';
    works($t, 'registry: then another can be made', 'partner', 'create',
        'new');
    ok($t->verify, 'registry: the store is sound');
}

sub checkpoints {
    my $t = webhook_store();
    small_maps($t, 262144);
    my @feeds = map { "f$_" } 1 .. 20;
    $t->feed($_) for @feeds;
    my %key = (authorization => 'Bearer '
        . $t->partner_key('reader', feeds => 'f*', scopes => 'read,ack',
        quota_consumers => 1000000));
    $t->default_conf(location => 'eventsync_checkpoints on;');
    $t->run_nginx;

    my $put = sub {
        my ($path) = @_;
        my ($feed) = $path =~ /^(\w+)/;
        my ($epoch) = $t->ctl_ok('feed', 'show', $feed) =~ /"epoch":"(\w+)"/;
        return $t->http(PUT => "/v1/feeds/$path",
            { %key, 'content-type' => 'application/json' },
            qq({"cursor":"$epoch-0"}));
    };
    my ($answer, $made);
  FEED:
    for my $feed (@feeds) {
        my ($epoch) = $t->ctl_ok('feed', 'show', $feed) =~ /"epoch":"(\w+)"/;
        for my $n (10 .. 99) {
            my $path = "$feed/checkpoints/" . 'x' x 60 . $n;
            $answer = $t->http(PUT => "/v1/feeds/$path",
                { %key, 'content-type' => 'application/json' },
                qq({"cursor":"$epoch-0"}));
            last FEED if $answer->{status} != 201;
            $made = $path;
        }
    }
    is($answer->{status}, 507, 'checkpoints: refused in the end');
    like(Test::Eventsync::json($answer->{body})->{detail},
        qr/store full: checkpoints\/ has reached map_max/,
        'checkpoints: the answer says what is full');
    is($put->($made)->{status}, 200,
        'checkpoints: one that is there can be written');
    is($t->http(DELETE => "/v1/feeds/$made", \%key)->{status}, 204,
        'checkpoints: one can be removed');
    works($t, 'checkpoints: they go with their feed', 'feed', 'remove', 'f1');
    is($put->('f20/checkpoints/new')->{status}, 201,
        'checkpoints: then others can be made');
    works($t, 'checkpoints: they go with their partner', 'partner', 'remove',
        key_and_partner($t, 'reader'));
    ok($t->verify, 'checkpoints: the store is sound');
    $t->stop;
}

# Removes the partner's keys, and names the partner.
sub key_and_partner {
    my ($t, $partner) = @_;
    for my $line (split /\n/, $t->ctl_ok('key', 'list')) {
        $t->ctl_ok('key', 'remove', (split ' ', $line)[0])
            if $line =~ /\b\Q$partner\E\b/;
    }
    return $partner;
}

# Attempts and dead letters until there is no room for more.
sub full_delivery {
    my ($t) = @_;
    my $recv = $t->receiver({ status => 400, body => 'n' x 256 });
    my $endpoint = $t->endpoint('acme', url => $recv->url,
        feeds => 'orders', start => 'oldest', ordering => 'none',
        schedule => '0', in_flight => 32);
    put($t, 'orders', 4000);
    small_maps($t, 1048576);
    $t->run_dispatcher;
    ok(wait_for(sub { $t->{dispatcher}->stderr
        =~ /cannot write delivery state: store full: delivery\/ has reached/ },
        60), 'delivery: the log says what is full');
    return ($recv, $endpoint);
}

sub delivery {
    my $t = webhook_store();
    my ($recv, $endpoint) = full_delivery($t);
    $t->stop_dispatcher;

    my $dispatcher = $t->run_dispatcher('--attempt-retention=1s',
        '--dead-retention=1s');
    ok(wait_for(sub { $recv->count >= 4000 }, 60),
        'delivery: what expires gives room, and everything is sent')
        or diag($dispatcher->stderr);
    ok(wait_for(sub { !attempts($t, $endpoint) && !dead($t, $endpoint) }, 30),
        'delivery: attempts and dead letters expire');
    $t->stop;
}

# The same by a command, while the dispatcher can record nothing.
sub discarded {
    my $t = webhook_store();
    my ($recv, $endpoint) = full_delivery($t);

    # Otherwise what it sends next may fill the room that the discard gives.

    $t->in_effect($endpoint, sub { $t->ctl_ok('endpoint', 'pause', $endpoint) });

    my $n = dead($t, $endpoint);
    is($t->ctl_ok('endpoint', 'discard', $endpoint, '--dry-run'), "$n\n",
        'delivery: a dry run counts the dead letters');
    is($t->ctl_ok('endpoint', 'discard', $endpoint, "--expect=$n"),
        "$n discarded\n", 'delivery: they can be discarded');
    ok(wait_for(sub { $t->{dispatcher}->stderr
        =~ /warn: delivery state can be written again/ }),
        'delivery: which gives room');
    is($t->stop_dispatcher, 0, 'delivery: the dispatcher stops cleanly');
    $t->stop;
}

sub raised {
    my $t = webhook_store();
    my ($recv, $endpoint) = full_delivery($t);
    small_maps($t, 8388608);
    ok(wait_for(sub { $t->{dispatcher}->stderr
        =~ /warn: delivery state can be written again/ }, 30),
        'delivery: when map_max is raised, the dispatcher goes on');
    ok(wait_for(sub { $recv->count >= 4000 }, 60),
        'delivery: and everything is sent');
    is($t->stop_dispatcher, 0, 'delivery: it stops cleanly');
    is(scalar(dead($t, $endpoint)), 4000, 'delivery: and nothing is lost');
    $t->stop;
}
