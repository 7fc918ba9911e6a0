# SPDX-License-Identifier: BSD-2-Clause

package Test::Eventsync::Tls;

# Certificate authorities and client certificates made by openssl, and requests
# that present them.
#
#     my $tls = Test::Eventsync::Tls->new($t);
#     $tls->authority('ca');
#     $tls->certificate('acme', subject => '/CN=acme');   # acme.pem, acme.key
#     $tls->request(GET => '/v1/feeds', cert => 'acme')->{status};

use warnings;
use strict;

use IO::Socket::SSL;
use POSIX qw(strftime);

sub new {
    my ($class, $t) = @_;
    my $self = bless { t => $t, dir => $t->testdir . '/pki', serial => 1 },
        $class;
    mkdir $self->{dir};
    return $self;
}

sub path { return "$_[0]{dir}/$_[1]" }

sub text {
    my ($self, $name) = @_;
    open my $in, '<', $self->path($name) or die "$name: $!\n";
    local $/;
    return <$in>;
}

sub put {
    my ($self, $name, $text) = @_;
    open my $out, '>', $self->path($name) or die "$name: $!\n";
    print $out $text;
    close $out;
}

sub openssl {
    my ($self, @args) = @_;
    my $proc = $self->{t}->start('openssl', {}, 'openssl', @args);
    my $rc = $proc->wait(30) // 'none';
    die "openssl @args: exit $rc\n" . $proc->stderr if $rc ne '0';
    my $out = $proc->stdout;
    $self->{t}->forget($proc);
    chomp $out;
    return $out;
}

# One that signs itself; the first signs by default.
sub authority {
    my ($self, $name) = @_;
    $self->{authority} //= $name;
    $self->openssl(qw(req -x509 -newkey ec -pkeyopt
        ec_paramgen_curve:prime256v1 -nodes -days 2 -subj), "/O=Test/CN=$name",
        '-keyout', $self->path("$name.key"), '-out', $self->path("$name.pem"));
}

# Options: subject, by (an authority), eku (clientAuth), san, from and to
# (seconds from now; a minute before, an hour after).
sub certificate {
    my ($self, $name, %o) = @_;
    my $by = $o{by} // $self->{authority};
    my ($from, $to) = map { strftime('%Y%m%d%H%M%SZ', gmtime(time + $_)) }
        $o{from} // -60, $o{to} // 3600;

    $self->put("$name.cnf", "[ca]\ndefault_ca = d\n[d]\ndatabase = "
        . $self->path("$name.index") . "\nserial = " . $self->path("$name.serial")
        . "\nnew_certs_dir = $self->{dir}\ndefault_md = sha256\npolicy = p\n"
        . "x509_extensions = x\nunique_subject = no\nstring_mask = utf8only\n"
        . "[p]\ncommonName = optional\norganizationName = optional\n"
        . "[x]\nbasicConstraints = CA:FALSE\nextendedKeyUsage = "
        . ($o{eku} // 'clientAuth') . "\n"
        . ($o{san} ? "subjectAltName = $o{san}\n" : ''));
    $self->put("$name.index", '');
    $self->put("$name.serial", sprintf("%02X\n", 16 + $self->{serial}++));

    $self->openssl(qw(req -new -newkey ec -pkeyopt
        ec_paramgen_curve:prime256v1 -nodes -utf8 -subj),
        $o{subject} // "/CN=$name", '-keyout', $self->path("$name.key"),
        '-out', $self->path("$name.csr"));
    $self->openssl(qw(ca -batch -notext -utf8 -config), $self->path("$name.cnf"),
        '-cert', $self->path("$by.pem"), '-keyfile', $self->path("$by.key"),
        '-in', $self->path("$name.csr"), '-out', $self->path("$name.pem"),
        '-startdate', $from, '-enddate', $to, '-preserveDN');
    return $self->path("$name.pem");
}

# Connects.  Options: cert (a name), version (TLSv1_3), context (of an earlier
# socket, whose session is resumed), port (that of the test).
sub connect {
    my ($self, %o) = @_;
    return IO::Socket::SSL->new(PeerAddr => '127.0.0.1',
        PeerPort => $o{port} // $self->{t}->port(0), Timeout => 20,
        SSL_verify_mode => SSL_VERIFY_NONE, SSL_session_key => 'x',
        SSL_ca_file => $self->path("$self->{authority}.pem"),
        $o{context} ? (SSL_reuse_ctx => $o{context})
        : (SSL_session_cache_size => 10,
            SSL_version => $o{version} // 'TLSv1_3',
            $o{cert} ? (SSL_cert_file => $self->path("$o{cert}.pem"),
                SSL_key_file => $self->path("$o{cert}.key"))
            : (SSL_use_cert => 0)))
        || die "cannot connect: $SSL_ERROR\n";
}

# Sends a request over a socket, which stays open.
sub send {
    my ($self, $sock, $method, $path, $headers, $body) = @_;
    my %headers = (host => 'localhost', %{ $headers // {} });
    $headers{'content-length'} = length $body if defined $body;
    print $sock "$method $path HTTP/1.1\r\n",
        (map { "$_: $headers{$_}\r\n" } sort keys %headers), "\r\n",
        $body // '';
}

# Reads an answer as $t->http() returns it; status 0: none.
sub answer {
    my ($self, $sock) = @_;
    my %answer = (status => 0, headers => {}, body => '');
    local $SIG{ALRM} = sub { die "no answer in 30 s\n" };
    alarm 30;

    my $line = <$sock> // '';
    $answer{status} = $1 if $line =~ m{^HTTP/1\.1 ([0-9]+)};
    while (defined($line = <$sock>) && $line =~ /^([^:]+): (.*?)\r\n/) {
        $answer{headers}{ lc $1 } = $2;
    }
    read $sock, $answer{body}, $answer{headers}{'content-length'} // 0;
    alarm 0;
    return \%answer;
}

# Options: as of connect, and headers, body.
sub request {
    my ($self, $method, $path, %o) = @_;
    my $sock = $self->connect(%o);
    $self->send($sock, $method, $path, $o{headers}, $o{body});
    my $answer = $self->answer($sock);
    $answer->{socket} = $sock;
    return $answer;
}

1;
