# SPDX-License-Identifier: BSD-2-Clause

package Test::Eventsync::Webhooks;

# Functions for tests of the dispatcher: a store with a feed and a partner,
# events published without HTTP, recorded attempts, and an independent
# computation of signatures and delays.

use warnings;
use strict;

use Digest::SHA qw(hmac_sha256_base64 sha256_hex);
use MIME::Base64 qw(decode_base64 decode_base64url);
use Time::Local qw(timegm);

use Test::Eventsync;

use parent 'Exporter';
our @EXPORT = qw(
    webhook_store put put_types attempts dead status_lines retries
    signature_ok v1a_ok header_list sequences time_ms delay_ms stored outcomes
    certificate
);

# Creates a store with the feed "orders" and the partner "acme", which may read
# every feed.
sub webhook_store {
    my (%opts) = @_;

    my $t = Test::Eventsync->new(%opts);
    $t->store_init->feed('orders');
    $t->partner('acme', feeds => '*');
    return $t;
}

# Makes key.pem and cert.pem of a receiver with this subjectAltName, or files
# named after `file`.  `before` is a command in front, as faketime, and `issuer`
# the name of the files of another certificate that signs it.  It is valid for
# `days` (2).
sub certificate {
    my ($t, $name, %opts) = @_;
    my $dir = $t->testdir;
    my ($key, $cert) = $opts{file} ? ("$opts{file}.key", "$opts{file}.pem")
        : ('key.pem', 'cert.pem');
    my $made = $t->start('openssl', {}, @{ $opts{before} // [] }, qw(openssl
        req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days),
        $opts{days} // 2,
        $opts{issuer} ? ('-CA', "$dir/$opts{issuer}.pem", '-CAkey',
            "$dir/$opts{issuer}.key", '-addext', 'basicConstraints=CA:FALSE')
            : (),
        '-subj', '/CN=' . ($opts{file} // 'test'), '-addext',
        'subjectAltName=' . ($name // 'IP:127.0.0.1'), '-keyout',
        "$dir/$key", '-out', "$dir/$cert");
    die 'no certificate: ' . $made->stderr . "\n" if $made->wait(20) != 0;
}

# Publishes n events, or events from hashes; returns their ids.
sub put {
    my ($t, $feed, @events) = @_;

    @events = map { {} } 1 .. $events[0] if @events == 1 && !ref $events[0];
    my @json = map { $t->event(data => { x => 1 }, %$_) } @events;
    $t->ctl_ok({ stdin => join '', map { "$_\n" } @json }, 'publish', $feed);
    return map { Test::Eventsync::json($_)->{id} } @json;
}

sub put_types {
    my ($t, $feed, @types) = @_;
    return put($t, $feed, map { { type => $_ } } @types);
}

# The stored texts of the events of a feed.
sub stored {
    my ($t, $feed) = @_;
    return split /\n/, $t->ctl_ok('tail', $feed);
}

sub fields {
    my ($line) = @_;
    my %fields = $line =~ /(\S+?)=(\S+)/g;
    return { line => $line, %fields };
}

# The recorded attempts in order, as hashes of the fields that eventsyncctl
# prints, with `time_ms`.
sub attempts {
    my ($t, $endpoint) = @_;
    return map {
        my $a = fields($_);
        $a->{time_ms} = time_ms((split ' ', $_)[0]);
        $a
    } split /\n/, $t->ctl_ok('endpoint', 'attempts', $endpoint);
}

# Sends one event to each of the URLs, by a dispatcher with the given options;
# a hash before these has the partner (acme) and options of the endpoints.
# Returns a hash of "class status" by URL.  A failure becomes a dead letter at
# once, and the endpoints are removed.
sub outcomes {
    my ($t, $urls, @options) = @_;

    my %record = ref $options[0] ? %{ shift @options } : ();
    my $partner = delete $record{partner} // 'acme';
    my %names = map {
        scalar($t->endpoint($partner, url => $_, feeds => 'orders',
            start => 'oldest', schedule => '0', connect_timeout => '2s',
            %record)) => $_
    } @$urls;
    local @Test::Eventsync::DISPATCHER_OPTS;
    $t->run_dispatcher(@options);

    my %got;
    Test::Eventsync::wait_for(sub {
        %got = map { /^\S+ (\S+) .* status=(\d+) class=(\S+)/ && $names{$1}
            ? ($names{$1} => "$3 $2") : () }
            split /\n/, $t->ctl_ok('endpoint', 'attempts');
        return keys %got == @$urls;
    }, 30);
    my $rc = $t->stop_dispatcher;
    die "the dispatcher ends with $rc\n" if $rc != 0;
    $t->ctl_ok('endpoint', 'remove', $_) for keys %names;
    return \%got;
}

sub dead {
    my ($t, $endpoint) = @_;
    return map { fields($_) }
        split /\n/, $t->ctl_ok('endpoint', 'dead', $endpoint);
}

sub status_lines {
    my ($t, $endpoint) = @_;
    return map { fields($_) }
        split /\n/, $t->ctl_ok('endpoint', 'status', $endpoint);
}

sub retries {
    my ($t, $endpoint) = @_;
    return grep { $_->{line} =~ /\bretry\b/ } status_lines($t, $endpoint);
}

# The sequences of requests, in order of arrival.
sub sequences {
    return map { Test::Eventsync::json($_->{body})->{sequence} + 0 } @_;
}

# True if one of the tokens of the request is a signature by this secret.
sub signature_ok {
    my ($request, $secret) = @_;
    my $h = $request->{headers};

    (my $key = $secret) =~ s/^whsec_//;
    my $mac = hmac_sha256_base64(join('.', $h->{'webhook-id'},
        $h->{'webhook-timestamp'}, $request->{body}), decode_base64($key));
    $mac .= '=' while length($mac) % 4;
    return scalar grep { $_ eq "v1,$mac" }
        split / /, $h->{'webhook-signature'} // '';
}

# True if openssl verifies one of them with this public key, the x of a JWK.
sub v1a_ok {
    my ($t, $request, $x) = @_;
    my $dir = $t->testdir;
    my $h = $request->{headers};

    $t->write_file('pub.der', pack('H*', '302a300506032b6570032100')
        . decode_base64url($x));
    $t->write_file('message', join '.', @{$h}{qw(webhook-id
        webhook-timestamp)}, $request->{body});
    for my $token ($h->{'webhook-signature'} =~ /v1a,(\S+)/g) {
        $t->write_file('sig', decode_base64($token));
        my $said = qx(openssl pkeyutl -verify -pubin -keyform DER -rawin \\
            -inkey $dir/pub.der -in $dir/message -sigfile $dir/sig 2>&1);
        return 1 if $said =~ /Verified Successfully/;
    }
    return 0;
}

sub header_list {
    my ($request) = @_;
    return sort keys %{ $request->{headers} };
}

sub time_ms {
    my ($text) = @_;
    my ($y, $mo, $d, $h, $mi, $s, $ms)
        = $text =~ /^(\d+)-(\d+)-(\d+)T(\d+):(\d+):(\d+)\.(\d+)Z/
        or die "not a time: $text\n";
    return timegm($s, $mi, $h, $d, $mo - 1, $y) * 1000 + $ms;
}

# The documented delay before an attempt: that of the schedule, +-20 % by the
# first 53 bits of SHA-256("id.endpoint.attempt").
sub delay_ms {
    my ($id, $endpoint, $attempt, $schedule_ms) = @_;

    my $hex = substr sha256_hex("$id.$endpoint.$attempt"), 0, 16;
    my $draw = 0;
    my $weight = 1;
    for my $bit (split //, substr unpack('B*', pack 'H*', $hex), 0, 53) {
        $weight /= 2;
        $draw += $bit * $weight;
    }
    return int($schedule_ms * (0.8 + 0.4 * $draw));
}

1;
